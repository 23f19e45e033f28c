#include "daemon/tool/output/replaced_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "daemon/tool/output/exit_code.hpp"

namespace runledger::tool {
namespace {

// The umask takes what others may not have.
constexpr mode_t file_mode = 0666;

std::filesystem::path place_of(const std::filesystem::path& path) {
    std::error_code code;
    const auto there = std::filesystem::status(path, code);
    if (std::filesystem::exists(there) && !std::filesystem::is_regular_file(there)) {
        throw Misused(fmt::format("{}: is there, and is not a regular file that could be replaced", path.string()));
    }
    // A link that leads nowhere is replaced itself.
    return std::filesystem::exists(there) ? std::filesystem::canonical(path) : std::filesystem::absolute(path);
}

}  // namespace

ReplacedFile::ReplacedFile(const std::filesystem::path& path)
    : path_(place_of(path)),
      beside_(path_.parent_path() / fmt::format(".{}-{}", path_.filename().string(), ::getpid())) {
    const int fd = ::open(beside_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, file_mode);
    if (fd == -1) {
        fail("make it");
    }
    file_.reset(::fdopen(fd, "w"));
    if (!file_) {
        ::close(fd);
        ::unlink(beside_.c_str());
        fail("write it");
    }
}

ReplacedFile::~ReplacedFile() {
    ::unlink(beside_.c_str());  // Its name is gone if it was put in its place.
}

void ReplacedFile::write(std::string_view bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) {
        fail("write it");
    }
}

void ReplacedFile::put_in_place() {
    if (std::fflush(file_.get()) != 0 || ::fsync(::fileno(file_.get())) == -1) {
        fail("write it");
    }
    if (::rename(beside_.c_str(), path_.c_str()) == -1) {
        fail("put it in its place");
    }
    const int folder = ::open(path_.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder == -1) {
        return;  // One that may be written to and not read; the file is whole in any case.
    }
    const bool is_synced = ::fsync(folder) == 0;
    ::close(folder);
    if (!is_synced) {
        fail("sync its folder");
    }
}

void ReplacedFile::fail(std::string_view doing) const {
    throw std::system_error(errno, std::generic_category(), fmt::format("{}: can't {}", path_.string(), doing));
}

}  // namespace runledger::tool
