// A user of this machine, and what the modes of files let this user do. Access lists (ACL) are not looked at.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace runledger::tool {

struct Account {
    uid_t uid{};
    gid_t gid{};
    std::vector<gid_t> groups{};  // With gid.
    std::string name{};           // The number, if it has no name.
    std::string home{};           // Empty, if it is not known.

    [[nodiscard]] bool may_read(const struct stat& file) const noexcept { return may(file, S_IROTH); }
    [[nodiscard]] bool may_write(const struct stat& file) const noexcept { return may(file, S_IWOTH); }
    // Of a folder: find and make files in it.
    [[nodiscard]] bool may_enter(const struct stat& folder) const noexcept { return may(folder, S_IXOTH); }
    [[nodiscard]] bool is_in(gid_t group) const noexcept;

private:
    [[nodiscard]] bool may(const struct stat& file, mode_t right_of_others) const noexcept;
};

// While it exists, a root process has the user id, the group and the groups of the account for all but the real ids, so
// that PostgreSQL's peer authentication sees the account, and its $HOME, so that libpq looks for certificates where it
// does for the daemon. Does nothing in a process that is not root's, or for root.
// One thread; the threads that a library has started get the same ids (glibc).
class ActingAs {
public:
    explicit ActingAs(const Account& account);
    ActingAs(const ActingAs&) = delete;
    ActingAs& operator=(const ActingAs&) = delete;
    ~ActingAs();

private:
    bool acts_{false};
    std::vector<gid_t> own_groups_;
    std::optional<std::string> own_home_;
};

// Nothing if there is no such user.
[[nodiscard]] std::optional<Account> find_account(const std::string& name);
// That this process runs as.
[[nodiscard]] Account own_account();
[[nodiscard]] std::string name_of(uid_t uid);
[[nodiscard]] std::string group_name_of(gid_t gid);

}  // namespace runledger::tool
