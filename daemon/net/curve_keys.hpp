// The daemon's CURVE keys: its own secret key, and the public keys of the authorised edges.
//
// The file of public keys is checked at each handshake and read again if it has changed, so an edge is added or removed
// without a restart. If the file has become unreadable, nothing changes, and one log line says so.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "daemon/base/secret.hpp"

namespace runledger {

// A file of keys that can't be used. what() names the file and the line, and no key.
struct KeyFileError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

struct CurveServer {
    Secret secret_key;  // Z85.
    std::filesystem::path authorized_keys_file;
    std::filesystem::path secret_key_file{};

    bool operator==(const CurveServer&) const = default;
};

// The file's only key. Throws KeyFileError; also where others may read the file, or libzmq has no CURVE.
[[nodiscard]] Secret read_curve_secret(const std::filesystem::path& path);

class AuthorizedKeys {
public:
    // Throws KeyFileError.
    explicit AuthorizedKeys(std::filesystem::path path);

    // The edge's name, or the beginning of its key if the file has no name for it; nothing if the key is not listed.
    [[nodiscard]] std::optional<std::string> find(std::string_view public_key);

private:
    struct Version {
        ino_t inode{};
        off_t size{};
        timespec changed{};
        [[nodiscard]] bool operator==(const Version& other) const noexcept;
    };

    [[nodiscard]] Version look() const;
    void read();

    std::filesystem::path path_;
    Version version_;
    std::map<std::string, std::string, std::less<>> names_;  // By key.
};

// The part of a public key that a log may show.
[[nodiscard]] std::string key_prefix(std::string_view key);

}  // namespace runledger
