#include "nginx-module/link/keys.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "common/curve.hpp"

namespace runledger::edge {
namespace {

enum class Readers { owner_and_group, anybody };

// Closes a descriptor and wipes what was read, however the reading ends.
struct Reading {
    int fd{-1};
    std::string text;

    Reading() = default;
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;
    ~Reading() {
        ::explicit_bzero(text.data(), text.size());
        if (fd >= 0) {
            ::close(fd);
        }
    }
};

CurveFault fault_of(const std::string& path, const std::string& what) { return {"\"" + path + "\": " + what}; }

std::variant<std::vector<NamedKey>, CurveFault> read_keys(const std::string& path, Readers readers) {
    const auto system_fault = [&] {
        return fault_of(path, "it can't be read: " + std::generic_category().message(errno));
    };
    Reading reading;
    reading.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // A pipe in its place must not hold us up.
    struct stat facts {};
    if (reading.fd < 0 || ::fstat(reading.fd, &facts) != 0) {
        return system_fault();
    }
    if (!S_ISREG(facts.st_mode)) {
        return fault_of(path, "it is not a file");
    }
    if (readers == Readers::owner_and_group && (facts.st_mode & S_IRWXO) != 0) {
        return fault_of(path, "others may read this secret: chmod o= it, and make a new one if they could");
    }
    reading.text.resize(curve_file_bytes_max + 1);
    std::size_t size = 0;
    while (size < reading.text.size()) {
        const ssize_t got = ::read(reading.fd, reading.text.data() + size, reading.text.size() - size);
        if (got < 0 && errno != EINTR) {
            return system_fault();
        }
        if (got == 0) {
            break;
        }
        size += got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    if (size > curve_file_bytes_max) {
        return fault_of(path, "it is larger than a file of keys");
    }
    auto parsed = parse_curve_keys(std::string_view{reading.text}.substr(0, size));
    if (const auto* fault = std::get_if<KeyFault>(&parsed)) {
        return fault_of(path, fault->sentence);
    }
    return std::get<std::vector<NamedKey>>(std::move(parsed));
}

}  // namespace

std::variant<CurveKeys, CurveFault> read_curve_keys(const CurveFiles& files) {
    if (zmq_has("curve") == 0) {
        return CurveFault{"this host's libzmq was built without CURVE"};
    }
    const auto own = read_keys(files.secret_key, Readers::owner_and_group);
    if (const auto* fault = std::get_if<CurveFault>(&own)) {
        return *fault;
    }
    const auto daemons = read_keys(files.server_keys, Readers::anybody);
    if (const auto* fault = std::get_if<CurveFault>(&daemons)) {
        return *fault;
    }
    const auto& secrets = std::get<std::vector<NamedKey>>(own);
    if (secrets.size() != 1) {
        return fault_of(files.secret_key, "it holds more than the one secret key of this edge");
    }
    std::array<char, curve_key_characters + 1> own_public{};
    if (zmq_curve_public(own_public.data(), secrets.front().key.c_str()) != 0) {
        return fault_of(files.secret_key, "its key is none that CURVE can use");
    }
    CurveKeys keys{.secret = secrets.front().key, .own_public = own_public.data(), .daemons = {}};
    for (const NamedKey& daemon : std::get<std::vector<NamedKey>>(daemons)) {
        if (daemon.key == keys.own_public || daemon.key == keys.secret) {
            return fault_of(files.server_keys, "it holds a key of this edge, not the daemon's public one");
        }
        keys.daemons.push_back(daemon.key);
    }
    return keys;
}

}  // namespace runledger::edge
