#include "nginx-module/token/token_file.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <vector>

namespace runledger::edge {

namespace {

constexpr std::string_view blanks = " \t";

[[nodiscard]] std::string_view trim(std::string_view text) {
    const std::size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

[[nodiscard]] bool is_name_character(char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
}

[[nodiscard]] bool is_name(std::string_view word) {
    return word.size() <= token_name_bytes_max && std::ranges::all_of(word, is_name_character);
}

[[nodiscard]] bool is_visible(char c) { return c > ' ' && c < '\x7F'; }

// A line's two words, and what is wrong with them apart from the other lines.
struct Entry {
    std::string_view name;
    std::string_view token;
};

[[nodiscard]] std::variant<Entry, std::string_view> parse_line(std::string_view line) {
    const std::size_t gap = std::min(line.find_first_of(blanks), line.size());
    const Entry entry{line.substr(0, gap), trim(line.substr(gap))};
    if (entry.token.empty()) {
        return "has one word; it takes a name and a token";
    }
    if (entry.token.find_first_of(blanks) != std::string_view::npos) {
        return "has more than a name and a token";
    }
    static_assert(token_name_bytes_max == 64 && token_bytes_max == 512, "the sentences below say so");
    if (!is_name(entry.name)) {
        return "begins with a name that is not 1 to 64 letters, digits, '_', '.' or '-'";
    }
    if (!std::ranges::all_of(entry.token, is_visible)) {
        return "has a token with a character outside visible ASCII";
    }
    const char first = entry.token.front();
    if (entry.token.size() > 1 && (first == '"' || first == '\'') && entry.token.back() == first) {
        return "has a token in quotes, which would be a part of it; leave the quotes out";
    }
    if (entry.token.size() > token_bytes_max) {
        return "has a token of more than 512 characters";
    }
    return entry;
}

[[nodiscard]] TokenFileFault fault_in_line(std::size_t number, std::string_view what) {
    return {"line " + std::to_string(number) + " " + std::string{what}};
}

// Wipes what it held, so that the tokens don't stay in the master's memory.
class SecretText {
public:
    SecretText() = default;
    SecretText(const SecretText&) = delete;
    SecretText& operator=(const SecretText&) = delete;
    ~SecretText() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

    // Nothing on success, else errno's value; EFBIG for a file over the bound.
    [[nodiscard]] int read(int fd) {
        for (;;) {
            const ssize_t count = ::read(fd, bytes_.data() + size_, bytes_.size() - size_);
            if (count == 0) {
                return 0;
            }
            if (count > 0) {
                size_ += static_cast<std::size_t>(count);
                if (size_ == bytes_.size()) {
                    return EFBIG;
                }
            } else if (errno != EINTR) {
                return errno;
            }
        }
    }

    [[nodiscard]] std::string_view view() const { return {bytes_.data(), size_}; }

private:
    // One byte more than the bound, to see what is over it; never grows, which would leave a copy.
    std::vector<char> bytes_ = std::vector<char>(token_file_bytes_max + 1);
    std::size_t size_{};
};

class OpenFile {
public:
    // O_NONBLOCK: a FIFO without a writer would hold up nginx for ever.
    explicit OpenFile(const std::string& path)
        : fd_{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)} {}
    OpenFile(const OpenFile&) = delete;
    OpenFile& operator=(const OpenFile&) = delete;
    ~OpenFile() {
        if (fd_ != -1) {
            ::close(fd_);  // Read only: nothing can be lost by a failure here.
        }
    }

    [[nodiscard]] int fd() const { return fd_; }

private:
    int fd_;
};

[[nodiscard]] std::string octal(mode_t mode) {
    std::array<char, 8> text{};
    static_cast<void>(std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(mode & 07777)));
    return text.data();
}

// What the file is, as opposed to what is in it.
[[nodiscard]] std::optional<std::string> find_file_fault(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) {
        return "the file can't be looked at: " + std::system_category().message(errno);
    }
    if (!S_ISREG(status.st_mode)) {
        return "it is not a regular file";
    }
    if ((status.st_mode & S_IWOTH) != 0) {
        return "others can write to the file, its mode is " + octal(status.st_mode) + "; chmod 0600 or 0640 it";
    }
    if ((status.st_mode & S_IROTH) != 0) {
        return "others can read the file, its mode is " + octal(status.st_mode) + "; chmod 0600 or 0640 it";
    }
    return std::nullopt;
}

}  // namespace

std::variant<TokenFile, TokenFileFault> parse_token_file(std::string_view text) {
    TokenFile file;
    std::vector<std::size_t> lines;  // Where each of the tokens stands.
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.find('\0') != std::string_view::npos) {  // Not even in a comment: this is no text file.
            return fault_in_line(number, "holds a NUL character");
        }
        if (line.ends_with('\r')) {  // An editor of Windows ends its lines so. Anywhere else it is refused.
            line.remove_suffix(1);
        }
        line = trim(line);
        if (line.empty() || line.front() == '#') {
            continue;
        }
        const auto parsed = parse_line(line);
        if (const auto* fault = std::get_if<std::string_view>(&parsed)) {
            return fault_in_line(number, *fault);
        }
        static_assert(tokens_max == 64, "the sentence below says so");
        if (lines.size() == tokens_max) {
            return fault_in_line(number, "is one too many: a file holds at most 64 tokens");
        }
        const auto& entry = std::get<Entry>(parsed);
        if (const auto same = file.tokens.add(entry.name, entry.token)) {
            const bool repeats_name = file.tokens.names()[*same] == entry.name;
            return fault_in_line(number, std::string{"repeats the "} + (repeats_name ? "name" : "token") + " of line " +
                                             std::to_string(lines[*same]));
        }
        lines.push_back(number);
        if (entry.token.size() < token_bytes_weak && !file.weak_line) {
            file.weak_line = number;
        }
    }
    if (lines.empty()) {
        return TokenFileFault{"the file holds no token"};
    }
    return file;
}

std::variant<TokenFile, TokenFileFault> read_token_file(const std::string& path) {
    const OpenFile file{path};
    if (file.fd() == -1) {
        return TokenFileFault{"the file can't be opened: " + std::system_category().message(errno)};
    }
    if (const auto fault = find_file_fault(file.fd())) {
        return TokenFileFault{*fault};
    }
    SecretText text;
    if (const int fault = text.read(file.fd()); fault == EFBIG) {
        static_assert(token_file_bytes_max == 64UL * 1024, "the sentence below says so");
        return TokenFileFault{"the file is larger than 64 KiB"};
    } else if (fault != 0) {
        return TokenFileFault{"the file can't be read: " + std::system_category().message(fault)};
    }
    return parse_token_file(text.view());
}

}  // namespace runledger::edge
