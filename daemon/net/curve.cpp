#include "daemon/net/curve.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <zmq.h>

#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "common/curve.hpp"

namespace runledger {
namespace {

struct stat facts_of(const std::filesystem::path& path) {
    struct stat facts {};
    if (::stat(path.c_str(), &facts) != 0) {
        throw KeyFileError(
            fmt::format("\"{}\": it can't be read: {}", path.string(), std::generic_category().message(errno)));
    }
    if (!S_ISREG(facts.st_mode)) {
        throw KeyFileError(fmt::format("\"{}\": it is not a file", path.string()));
    }
    if (facts.st_size > static_cast<off_t>(curve_file_bytes_max)) {
        throw KeyFileError(fmt::format("\"{}\": it is larger than a file of keys", path.string()));
    }
    return facts;
}

std::vector<NamedKey> read_keys(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::stringstream content;
    content << file.rdbuf();
    if (!file) {
        throw KeyFileError(fmt::format("\"{}\": it can't be read", path.string()));
    }
    auto parsed = parse_curve_keys(content.str());
    if (const auto* fault = std::get_if<KeyFault>(&parsed)) {
        throw KeyFileError(fmt::format("\"{}\": {}", path.string(), fault->sentence));
    }
    return std::get<std::vector<NamedKey>>(std::move(parsed));
}

}  // namespace

Secret read_curve_secret(const std::filesystem::path& path) {
    if (zmq_has("curve") == 0) {
        throw KeyFileError("this host's libzmq was built without CURVE");
    }
    if ((facts_of(path).st_mode & S_IRWXO) != 0) {
        throw KeyFileError(fmt::format(
            "\"{}\": others may read this secret: chmod o= it, and make a new one if they could", path.string()));
    }
    auto keys = read_keys(path);
    if (keys.size() != 1) {
        throw KeyFileError(fmt::format("\"{}\": it has more than the one secret key of this daemon", path.string()));
    }
    return Secret(std::move(keys.front().key));
}

bool AuthorizedKeys::Version::operator==(const Version& other) const noexcept {
    return inode == other.inode && size == other.size && changed.tv_sec == other.changed.tv_sec &&
           changed.tv_nsec == other.changed.tv_nsec;
}

AuthorizedKeys::AuthorizedKeys(std::filesystem::path path) : path_(std::move(path)), version_(look()) { read(); }

AuthorizedKeys::Version AuthorizedKeys::look() const {
    const auto facts = facts_of(path_);
    return {.inode = facts.st_ino, .size = facts.st_size, .changed = facts.st_mtim};
}

void AuthorizedKeys::read() {
    std::map<std::string, std::string, std::less<>> names;
    for (NamedKey& named : read_keys(path_)) {
        std::string name = named.name.empty() ? key_prefix(named.key) : std::move(named.name);
        names.emplace(std::move(named.key), std::move(name));
    }
    names_ = std::move(names);
}

std::optional<std::string> AuthorizedKeys::find(std::string_view public_key) {
    Version now;
    std::string fault;
    try {
        now = look();
    } catch (const KeyFileError& error) {
        fault = error.what();
    }
    if (!(now == version_)) {
        version_ = now;  // Also where it can't be used: it is told of once.
        try {
            if (fault.empty()) {
                read();
                spdlog::info("authorized keys read again keys={}", names_.size());
            }
        } catch (const KeyFileError& error) {
            fault = error.what();
        }
        if (!fault.empty()) {
            spdlog::error("authorized keys can't be read, the daemon keeps those that it has error=\"{}\"", fault);
        }
    }
    const auto found = names_.find(public_key);
    return found == names_.end() ? std::nullopt : std::optional{found->second};
}

std::string key_prefix(std::string_view key) { return std::string(key.substr(0, 8)) + "..."; }

}  // namespace runledger
