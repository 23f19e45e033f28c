// A folder of its own for each test, where the servers that the test starts may write.
//
// Invariant: the folder exists while the object does; its path is short enough for a unix socket in it.
// When run as root the folder belongs to the unprivileged user that servers run as. Removed at the end, unless the
// test failed (its path is printed then) or RUNLEDGER_KEEP_TEMP is set.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

namespace runledger::test {

// Whom servers run as when the tests run as root: nobody, since initdb refuses root and a root-run nginx would not
// show what an operator's does.
struct Unprivileged {
    uid_t uid{};
    gid_t gid{};
};

[[nodiscard]] Unprivileged unprivileged_user();
[[nodiscard]] bool running_as_root() noexcept;
// Gives `path` (not what is below it) to the unprivileged user; does nothing unless run as root.
void give_away(const std::filesystem::path& path);

class TempFolder {
public:
    TempFolder();
    ~TempFolder();
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
    [[nodiscard]] std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

    // A folder below, made with mode 0755 and given away.
    std::filesystem::path make_folder(std::string_view name) const;
    // A file below, world-readable and given away; overwrites.
    std::filesystem::path write_file(std::string_view name, std::string_view text) const;
    // The same, but only for its owner.
    std::filesystem::path write_secret(std::string_view name, std::string_view text) const;

    // The folder stays, whatever the test's result.
    void keep() noexcept { keep_ = true; }

private:
    std::filesystem::path path_;
    bool keep_{false};
    int exceptions_at_start_;
    pid_t owner_;  // A forked copy of the test must not clear away its original's folder.
};

// Copies a program or module into the folder with mode 0755 and returns its new path: a build tree that root owns
// may be closed to the unprivileged user. A copy that is there already is replaced when the original is newer.
std::filesystem::path install_executable(const TempFolder& folder, const std::filesystem::path& original);

[[nodiscard]] std::string read_text(const std::filesystem::path& path);  // Empty where there is no such file.

}  // namespace runledger::test
