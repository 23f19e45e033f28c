#include "daemon/tool/check/account.hpp"

#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace runledger::tool {
namespace {

// One thread asks; the tool has no other that would.
Account account_of(const passwd& entry) {
    constexpr int groups_max = 256;
    Account account{.uid = entry.pw_uid, .gid = entry.pw_gid, .name = entry.pw_name, .home = entry.pw_dir};
    account.groups.resize(groups_max);
    int count = groups_max;
    if (getgrouplist(entry.pw_name, entry.pw_gid, account.groups.data(), &count) < 0) {
        count = groups_max;  // Of more groups, the first are known.
    }
    account.groups.resize(static_cast<std::size_t>(count));
    return account;
}

// libpq asks the user database where there is no $HOME.
void set_home(const std::string& home) {
    if (home.empty()) {
        unsetenv("HOME");  // NOLINT(concurrency-mt-unsafe): see account_of().
    } else {
        setenv("HOME", home.c_str(), 1);  // NOLINT(concurrency-mt-unsafe): see account_of().
    }
}

}  // namespace

bool Account::is_in(gid_t group) const noexcept { return std::ranges::find(groups, group) != groups.end(); }

bool Account::may(const struct stat& file, mode_t right_of_others) const noexcept {
    constexpr mode_t group_shift = 3;
    constexpr mode_t owner_shift = 6;
    if (uid == 0) {
        return true;
    }
    if (file.st_uid == uid) {
        return (file.st_mode & (right_of_others << owner_shift)) != 0;
    }
    if (is_in(file.st_gid)) {
        return (file.st_mode & (right_of_others << group_shift)) != 0;
    }
    return (file.st_mode & right_of_others) != 0;
}

ActingAs::ActingAs(const Account& account) {
    if (geteuid() != 0 || account.uid == 0) {
        return;
    }
    own_groups_.resize(static_cast<std::size_t>(std::max(getgroups(0, nullptr), 0)));
    const int count = getgroups(static_cast<int>(own_groups_.size()), own_groups_.data());
    own_groups_.resize(static_cast<std::size_t>(std::max(count, 0)));
    // The user last: it takes the right to change the groups.
    if (setgroups(account.groups.size(), account.groups.data()) == 0 && setegid(account.gid) == 0 &&
        seteuid(account.uid) == 0) {
        acts_ = true;
        if (const char* home = std::getenv("HOME")) {  // NOLINT(concurrency-mt-unsafe): see account_of().
            own_home_ = home;
        }
        set_home(account.home);
        return;
    }
    // A container without CAP_SETUID: what is asked as root is refused, with the reason.
    (void)setegid(getgid());
    (void)setgroups(own_groups_.size(), own_groups_.data());
}

ActingAs::~ActingAs() {
    if (acts_ &&
        (seteuid(getuid()) != 0 || setegid(getgid()) != 0 || setgroups(own_groups_.size(), own_groups_.data()) != 0)) {
        std::abort();  // It was root, and has the right to be it again.
    }
    if (acts_) {
        set_home(own_home_.value_or(""));
    }
}

std::optional<Account> find_account(const std::string& name) {
    const passwd* entry = getpwnam(name.c_str());  // NOLINT(concurrency-mt-unsafe): see account_of().
    return entry == nullptr ? std::nullopt : std::optional(account_of(*entry));
}

Account own_account() {
    constexpr int groups_max = 256;
    Account account{.uid = geteuid(), .gid = getegid(), .name = name_of(geteuid())};
    account.groups.resize(groups_max);
    const int count = getgroups(groups_max, account.groups.data());
    account.groups.resize(static_cast<std::size_t>(std::max(count, 0)));
    account.groups.push_back(account.gid);
    return account;
}

std::string name_of(uid_t uid) {
    const passwd* entry = getpwuid(uid);  // NOLINT(concurrency-mt-unsafe): see account_of().
    return entry == nullptr ? fmt::format("{}", uid) : std::string(entry->pw_name);
}

std::string group_name_of(gid_t gid) {
    const group* entry = getgrgid(gid);  // NOLINT(concurrency-mt-unsafe): see account_of().
    return entry == nullptr ? fmt::format("{}", gid) : std::string(entry->gr_name);
}

}  // namespace runledger::tool
