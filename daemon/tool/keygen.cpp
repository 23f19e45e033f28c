#include "daemon/tool/keygen.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>  // explicit_bzero
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <utility>

#include "common/curve.hpp"
#include "daemon/tool/output/exit_code.hpp"

namespace runledger::tool {
namespace {

// A text that does not stay in memory.
struct Wiped {
    std::string text;

    explicit Wiped(std::string secret) : text(std::move(secret)) {}
    Wiped(const Wiped&) = delete;
    Wiped& operator=(const Wiped&) = delete;
    ~Wiped() { ::explicit_bzero(text.data(), text.size()); }
};

void write_new_file(const std::filesystem::path& path, std::string_view text, mode_t mode) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        throw std::runtime_error(
            fmt::format("\"{}\" can't be made: {}", path.string(), std::generic_category().message(errno)));
    }
    const bool is_written = ::fchmod(fd, mode) == 0 &&
                            ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                            ::fsync(fd) == 0;
    const int error = errno;
    ::close(fd);
    if (!is_written) {
        ::unlink(path.c_str());
        throw std::runtime_error(
            fmt::format("\"{}\" can't be written: {}", path.string(), std::generic_category().message(error)));
    }
}

}  // namespace

int make_keys(const KeygenOptions& options, Output& out) {
    constexpr std::string_view name_characters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (options.name.empty() || options.name.front() == '.' ||
        options.name.find_first_not_of(name_characters) != std::string::npos) {
        throw Misused(
            fmt::format("\"{}\" is no name for a key: letters, digits, and . _ - after the first", options.name));
    }
    std::array<char, curve_key_characters + 1> public_key{};
    Wiped secret_key(std::string(curve_key_characters + 1, '\0'));
    if (zmq_curve_keypair(public_key.data(), secret_key.text.data()) != 0) {
        throw std::runtime_error(
            fmt::format("this host's libzmq can't make CURVE keys: {}", zmq_strerror(zmq_errno())));
    }
    const auto secret_file = options.folder / (options.name + ".secret");
    const auto public_file = options.folder / (options.name + ".public");
    const Wiped secret_line(fmt::format("{} {}\n", options.name, secret_key.text.c_str()));
    const std::string public_line = fmt::format("{} {}\n", options.name, public_key.data());
    write_new_file(secret_file, secret_line.text, 0600);
    try {
        write_new_file(public_file, public_line, 0644);
    } catch (const std::runtime_error&) {
        ::unlink(secret_file.c_str());  // A secret whose public half nobody has is of no use.
        throw;
    }
    if (out.as_json) {
        JsonObject object;
        object.add("name", options.name).add("public_key", public_key.data());
        object.add("secret_file", secret_file.string()).add("public_file", public_file.string());
        out.print(object);
    } else {
        out.print("{}", Lines{public_line});
    }
    return exit_yes;
}

}  // namespace runledger::tool
