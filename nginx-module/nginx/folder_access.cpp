#include "nginx-module/nginx/folder_access.hpp"

#include <fcntl.h>
#include <grp.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <vector>

namespace runledger::edge {

namespace {

// Takes on the user's identity for access to files, groups as initgroups() will give them to the worker, and gives
// it back. setfsuid() also sheds root's right to ignore permissions, which is the point.
class FileSystemIdentity {
public:
    explicit FileSystemIdentity(const WorkerUser& user) {
        const int saved = ::getgroups(0, nullptr);
        if (saved >= 0) {
            groups_.resize(static_cast<std::size_t>(saved));
            groups_.resize(static_cast<std::size_t>(::getgroups(saved, groups_.data())));
        }
        std::vector<gid_t> groups(groups_max_);
        int count = groups_max_;
        if (::getgrouplist(user.name.c_str(), user.gid, groups.data(), &count) == -1) {
            count = groups_max_;  // More groups than the kernel is likely to be asked about: the first ones count.
        }
        if (::setgroups(static_cast<std::size_t>(count), groups.data()) != 0) {
            return;  // No right to change identity: nor will nginx have it.
        }
        changed_ = true;
        ::setfsgid(user.gid);
        ::setfsuid(user.uid);
    }
    FileSystemIdentity(const FileSystemIdentity&) = delete;
    FileSystemIdentity& operator=(const FileSystemIdentity&) = delete;
    ~FileSystemIdentity() {
        if (changed_) {
            ::setfsuid(::geteuid());
            ::setfsgid(::getegid());
            // Cannot fail: these are the groups that this process had a moment ago.
            static_cast<void>(::setgroups(groups_.size(), groups_.data()));
        }
    }

private:
    static constexpr int groups_max_ = 256;

    std::vector<gid_t> groups_;
    bool changed_{false};
};

[[nodiscard]] std::string reason(int error) { return std::system_category().message(error); }

[[nodiscard]] std::optional<std::string> find_fault(const std::string& path, const std::string& who) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        return "the folder can't be reached by " + who + ": " + reason(errno);
    }
    if (!S_ISDIR(status.st_mode)) {
        return "it is not a folder";
    }
    if (::faccessat(AT_FDCWD, path.c_str(), R_OK | W_OK | X_OK, AT_EACCESS) != 0) {
        return "the folder can't be written by " + who + ": " + reason(errno);
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::string> find_folder_fault(const std::string& path, const std::optional<WorkerUser>& user) {
    if (user && ::geteuid() == 0) {
        const FileSystemIdentity identity{*user};
        return find_fault(path, "the worker's user \"" + user->name + "\"");
    }
    return find_fault(path, "the user that nginx runs as");
}

}  // namespace runledger::edge
