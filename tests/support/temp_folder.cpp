#include "tests/support/temp_folder.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

namespace runledger::test {
namespace {

// sun_path holds 107 bytes; "/pg/.s.PGSQL.65535" and the like must still fit behind the folder.
constexpr std::size_t base_bytes_max = 48;

std::string base_folder() {
    const char* configured = std::getenv("TMPDIR");
    if (configured == nullptr || *configured != '/' || std::string_view{configured}.size() > base_bytes_max) {
        return "/tmp";
    }
    return configured;
}

bool test_failed() {
    const auto* unit_test = ::testing::UnitTest::GetInstance();
    return unit_test->current_test_info() != nullptr ? ::testing::Test::HasFailure() : unit_test->Failed();
}

}  // namespace

bool running_as_root() noexcept { return ::geteuid() == 0; }

Unprivileged unprivileged_user() {
    if (!running_as_root()) {
        return {.uid = ::geteuid(), .gid = ::getegid()};
    }
    // getpwnam's static buffer: asked once, guarded by the initialisation of a local static.
    static const Unprivileged nobody = [] {
        const passwd* entry = ::getpwnam("nobody");
        if (entry == nullptr) {
            throw std::runtime_error("there is no user `nobody` to run servers as");
        }
        return Unprivileged{.uid = entry->pw_uid, .gid = entry->pw_gid};
    }();
    return nobody;
}

void give_away(const std::filesystem::path& path) {
    if (!running_as_root()) {
        return;
    }
    const Unprivileged user = unprivileged_user();
    if (::lchown(path.c_str(), user.uid, user.gid) != 0) {
        throw std::system_error(errno, std::generic_category(), fmt::format("chown {}", path.string()));
    }
}

TempFolder::TempFolder() : exceptions_at_start_(std::uncaught_exceptions()), owner_(::getpid()) {
    std::string pattern = base_folder() + "/rl-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) {
        throw std::system_error(errno, std::generic_category(), fmt::format("mkdtemp {}", pattern));
    }
    path_ = pattern;
    std::filesystem::permissions(path_, std::filesystem::perms{0755});
    give_away(path_);
}

TempFolder::~TempFolder() {
    if (::getpid() != owner_) {
        return;
    }
    // An exception that is on its way is a failure that GoogleTest has not been told of yet.
    const bool failed = std::uncaught_exceptions() > exceptions_at_start_ || test_failed();
    if (keep_ || failed || std::getenv("RUNLEDGER_KEEP_TEMP") != nullptr) {
        std::fprintf(stderr, "kept: %s\n", path_.c_str());
        return;
    }
    std::error_code ignored;  // A leftover below /tmp must not fail a test that has passed.
    std::filesystem::remove_all(path_, ignored);
}

std::filesystem::path TempFolder::make_folder(std::string_view name) const {
    const std::filesystem::path folder = path_ / name;
    std::filesystem::create_directories(folder);
    std::filesystem::permissions(folder, std::filesystem::perms{0755});
    give_away(folder);
    return folder;
}

std::filesystem::path TempFolder::write_file(std::string_view name, std::string_view text) const {
    const std::filesystem::path file = path_ / name;
    std::ofstream stream(file, std::ios::binary | std::ios::trunc);
    stream.write(text.data(), static_cast<std::streamsize>(text.size()));
    stream.close();
    if (!stream) {
        throw std::runtime_error(fmt::format("can't write {}", file.string()));
    }
    std::filesystem::permissions(file, std::filesystem::perms{0644});
    give_away(file);
    return file;
}

std::filesystem::path TempFolder::write_secret(std::string_view name, std::string_view text) const {
    const std::filesystem::path file = write_file(name, text);
    std::filesystem::permissions(file, std::filesystem::perms{0600});
    return file;
}

std::filesystem::path install_executable(const TempFolder& folder, const std::filesystem::path& original) {
    const std::filesystem::path copy = folder.make_folder("bin") / original.filename();
    // A new inode each time: a process that still runs the old copy would make the write fail with ETXTBSY.
    if (std::filesystem::exists(copy)) {
        if (std::filesystem::last_write_time(copy) >= std::filesystem::last_write_time(original)) {
            return copy;
        }
        std::filesystem::remove(copy);
    }
    std::filesystem::copy_file(original, copy);
    std::filesystem::permissions(copy, std::filesystem::perms{0755});
    return copy;
}

std::string read_text(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return std::move(text).str();
}

}  // namespace runledger::test
