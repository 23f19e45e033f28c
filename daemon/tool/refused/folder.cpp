#include "daemon/tool/refused/folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <system_error>

#include "common/event.hpp"

namespace runledger::tool {
namespace {

constexpr std::string_view take_prefix = "take-";
// Behind a digest in full, only its beginning is kept.
constexpr std::size_t digest_digits = 16;

[[nodiscard]] RefusedError error(const std::filesystem::path& path, std::string_view doing) {
    return RefusedError(fmt::format("{}: can't {}: {}", path.string(), doing, std::generic_category().message(errno)));
}

void for_each_name(const std::filesystem::path& folder,
                   const std::function<void(const std::filesystem::directory_entry&)>& each) {
    std::error_code code;
    std::filesystem::directory_iterator entries(folder, code);
    for (; !code && entries != std::filesystem::directory_iterator{}; entries.increment(code)) {
        each(*entries);
    }
    if (code) {
        throw RefusedError(
            fmt::format("{}: can't list the folder: {}{}", folder.string(), code.message(),
                        code == std::errc::permission_denied ? ": run it as root, or as nginx's user" : ""));
    }
}

[[nodiscard]] std::string read_all(int fd, const std::filesystem::path& path) {
    std::string text;
    std::string piece(64UL * 1024, '\0');
    while (text.size() <= refused_file_bytes_max) {
        const ssize_t count = ::read(fd, piece.data(), piece.size());
        if (count == 0) {
            return text;
        }
        if (count == -1) {
            if (errno == EINTR) {
                continue;
            }
            throw error(path, "read it");
        }
        text.append(piece, 0, static_cast<std::size_t>(count));
    }
    return text;  // Longer than any that we write: it counts as damaged.
}

}  // namespace

RefusedFolderLock::RefusedFolderLock(const std::filesystem::path& folder)
    : fd_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    if (fd_ == -1) {
        throw error(folder, "open the folder");
    }
    if (::flock(fd_, LOCK_EX | LOCK_NB) == -1) {
        const int code = errno;
        ::close(fd_);
        if (code == EWOULDBLOCK) {
            throw RefusedError(fmt::format(
                "{}: another runledger refused take or drop works on it; wait until it has ended", folder.string()));
        }
        errno = code;
        throw error(folder, "lock the folder");
    }
}

RefusedFolderLock::~RefusedFolderLock() {
    ::close(fd_);  // Which gives the lock up.
}

std::vector<RefusedPath> find_refused(const std::filesystem::path& folder) {
    std::vector<RefusedPath> found;
    for_each_name(folder, [&](const std::filesystem::directory_entry& entry) {
        if (const auto name = parse_refused_file_name(entry.path().filename().string())) {
            found.push_back({.path = entry.path(), .name = *name});
        }
    });
    std::ranges::sort(found, {}, [](const RefusedPath& one) { return one.path.filename().string(); });
    return found;
}

std::optional<std::string> why_no_refused_folder(const std::filesystem::path& folder) {
    std::optional<std::string> other;
    bool has_ours = false;
    for_each_name(folder, [&](const std::filesystem::directory_entry& entry) {
        const std::string name = entry.path().filename().string();
        const bool is_ours = parse_refused_file_name(name) || name.starts_with(take_prefix) ||
                             (name.starts_with('.') && name.find(refused_suffix) != std::string::npos);
        has_ours = has_ours || is_ours;
        if (!is_ours && name != "lost+found") {  // A disk of its own has that one.
            other = name;
        }
    });
    if (has_ours || !other) {
        return std::nullopt;
    }
    return fmt::format("{}: has no refused body, and has \"{}\": it is not the folder of runledger_refused",
                       folder.string(), *other);
}

std::optional<RefusedLook> look_at(const RefusedPath& name) {
    // No link is followed and no FIFO waited for: anybody may have put them there.
    const int fd = ::open(name.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd == -1) {
        if (errno == ENOENT) {
            return std::nullopt;
        }
        throw error(name.path, "open it");
    }
    struct Close {
        int fd;
        ~Close() { ::close(fd); }  // Read only: nothing can be lost by a failure here.
    } const opened{fd};
    struct stat facts {};
    if (::fstat(fd, &facts) == -1 || !S_ISREG(facts.st_mode)) {
        throw RefusedError(fmt::format("{}: is not a regular file", name.path.string()));
    }
    const std::string text = read_all(fd, name.path);
    return RefusedLook{.name = name, .file_bytes = text.size(), .content = decode_refused(text)};
}

std::string_view RefusedLook::fault() const {
    if (const auto* fault = std::get_if<RefusedFault>(&content)) {
        return to_word(*fault);
    }
    const auto event = validate_event(body()->body);
    if (const auto* refusal = std::get_if<Refusal>(&event)) {
        return to_word(refusal->fault);
    }
    return {};
}

bool is_chosen(const RefusedChoice& choice, const RefusedLook& look) {
    if ((choice.since && look.name.name.received_at < *choice.since) ||
        (choice.until && look.name.name.received_at >= *choice.until)) {
        return false;
    }
    const RefusedBody* body = look.body();
    if (body == nullptr) {
        return choice.digests.empty() && choice.reason.empty();
    }
    if (!choice.reason.empty() && choice.reason != to_word(body->reason)) {
        return false;
    }
    return choice.digests.empty() || std::ranges::any_of(choice.digests, [&](std::string_view digest) {
               if (digest == "none") {
                   return body->reason == RefusedFor::token && body->token_digest.empty();
               }
               return !body->token_digest.empty() && body->token_digest.starts_with(digest.substr(0, digest_digits));
           });
}

std::filesystem::path take_path(const std::filesystem::path& folder, const SegmentId& segment) {
    return folder / (std::string(take_prefix) + segment.hex());
}

std::vector<BegunTake> find_begun_takes(const std::filesystem::path& folder) {
    std::vector<BegunTake> found;
    for_each_name(folder, [&](const std::filesystem::directory_entry& entry) {
        const std::string name = entry.path().filename().string();
        if (!name.starts_with(take_prefix)) {
            return;
        }
        const auto id = SegmentId::parse(std::string_view(name).substr(take_prefix.size()));
        if (id && take_path(folder, *id).filename() == name) {
            found.push_back({.path = entry.path(), .segment = *id});
        }
    });
    std::ranges::sort(found, {}, [](const BegunTake& take) { return take.path.string(); });
    return found;
}

}  // namespace runledger::tool
