#include "nginx-module/token.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace runledger::edge {

namespace {

constexpr std::size_t file_bytes_max = 64UL * 1024;
constexpr std::size_t token_bytes_weak = 16;
constexpr std::string_view blanks = " \t\r";

[[nodiscard]] std::string_view trim(std::string_view text) {
    const std::size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// A line's token: its only word, or its second. Nothing if there are more.
[[nodiscard]] std::optional<std::string_view> find_token(std::string_view line) {
    const std::size_t gap = line.find_first_of(blanks);
    if (gap == std::string_view::npos) {
        return line;
    }
    const std::string_view second = trim(line.substr(gap));
    if (second.find_first_of(blanks) != std::string_view::npos) {
        return std::nullopt;
    }
    return second;
}

// Wipes what it held, so that the tokens don't stay in the master's memory.
class SecretText {
public:
    SecretText() = default;
    SecretText(const SecretText&) = delete;
    SecretText& operator=(const SecretText&) = delete;
    ~SecretText() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

    // Nothing on success, else errno's value; EFBIG for a file over the bound.
    [[nodiscard]] int read(const std::string& path) {
        const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd == -1) {
            return errno;
        }
        int fault = 0;
        while (fault == 0) {
            const ssize_t count = ::read(fd, bytes_.data() + size_, bytes_.size() - size_);
            if (count == -1 && errno != EINTR) {
                fault = errno;
            } else if (count > 0) {
                size_ += static_cast<std::size_t>(count);
                fault = size_ == bytes_.size() ? EFBIG : 0;
            } else if (count == 0) {
                break;
            }
        }
        ::close(fd);  // Read only: nothing can be lost by a failure here.
        return fault;
    }

    [[nodiscard]] std::string_view view() const { return {bytes_.data(), size_}; }

private:
    std::vector<char> bytes_ = std::vector<char>(file_bytes_max + 1);  // Never grows: growing would leave a copy.
    std::size_t size_{};
};

}  // namespace

TokenSet::Digest TokenSet::digest(std::string_view token) {
    Digest digest;
    // NOLINTNEXTLINE: OpenSSL's bytes are unsigned.
    if (SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), digest.data()) == nullptr) {
        throw std::runtime_error("SHA-256 is not available");
    }
    return digest;
}

std::variant<TokenSet, TokenSet::Fault> TokenSet::parse(std::string_view text) {
    TokenSet tokens;
    std::size_t number = 0;
    while (!text.empty()) {
        ++number;
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = trim(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.empty() || line.front() == '#') {
            continue;
        }
        const auto token = find_token(line);
        if (!token) {
            return Fault{"line " + std::to_string(number) + " has more than a name and a token"};
        }
        if (token->size() < token_bytes_weak && !tokens.weak_line_) {
            tokens.weak_line_ = number;
        }
        tokens.digests_.push_back(digest(*token));
    }
    if (tokens.digests_.empty()) {
        return Fault{"the file holds no token"};
    }
    return tokens;
}

std::variant<TokenSet, TokenSet::Fault> TokenSet::read_file(const std::string& path) {
    SecretText text;
    const int fault = text.read(path);
    if (fault == EFBIG) {
        return Fault{"the file is larger than 64 KiB"};
    }
    if (fault != 0) {
        return Fault{"the file can't be read: " + std::system_category().message(fault)};
    }
    return parse(text.view());
}

bool TokenSet::contains(std::string_view presented) const {
    const Digest candidate = digest(presented);
    bool found = false;
    for (const Digest& known : digests_) {  // No early end: the time must not tell which one it was.
        found |= CRYPTO_memcmp(known.data(), candidate.data(), candidate.size()) == 0;
    }
    return found;
}

}  // namespace runledger::edge
