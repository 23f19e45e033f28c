// A folder of refused bodies as the operator's tool sees it. docs/refused-format.md describes the files.
//
// The keepers of live workers may add files and remove expired ones at any moment; only a tool that has the folder's
// lock moves files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/identity.hpp"
#include "common/refused_format.hpp"
#include "daemon/tool/refused/commands.hpp"

namespace runledger::tool {

// What was asked for can't be done; what() is a sentence that names the file and what is wrong with it.
class RefusedError : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The lock on a folder, for whoever moves or removes its files. Throws RefusedError if another tool has it.
class RefusedFolderLock {
public:
    explicit RefusedFolderLock(const std::filesystem::path& folder);
    RefusedFolderLock(const RefusedFolderLock&) = delete;
    RefusedFolderLock& operator=(const RefusedFolderLock&) = delete;
    ~RefusedFolderLock();

private:
    int fd_;
};

struct RefusedPath {
    std::filesystem::path path;
    RefusedName name;

    // The file's name without its suffix.
    [[nodiscard]] std::string id() const { return path.stem().string(); }
};

// The files of a folder, in the order in which their bodies were received. Throws RefusedError if it can't be listed.
[[nodiscard]] std::vector<RefusedPath> find_refused(const std::filesystem::path& folder);

// Why a folder can't be one of refused bodies, as a sentence: it has none, and has other files. A mistyped folder looks
// like one in which nothing is kept, while the bodies grow old elsewhere. Throws as find_refused().
[[nodiscard]] std::optional<std::string> why_no_refused_folder(const std::filesystem::path& folder);

// One file, read.
struct RefusedLook {
    RefusedPath name;
    std::uint64_t file_bytes{};
    std::variant<RefusedBody, RefusedFault> content;

    [[nodiscard]] const RefusedBody* body() const { return std::get_if<RefusedBody>(&content); }
    // Why it can't be put through, as this build sees it: a fault of the file, or the EventFault of its body, which is
    // read by the code that reads a live request's. Empty: it can.
    [[nodiscard]] std::string_view fault() const;
};

// Nothing if the file has gone since it was listed. Throws RefusedError if it can't be read.
[[nodiscard]] std::optional<RefusedLook> look_at(const RefusedPath& name);

// A damaged file is meant only by its time, or by `all`.
[[nodiscard]] bool is_chosen(const RefusedChoice& choice, const RefusedLook& look);

// A take that has begun is a folder in the folder: "take-<the segment's id>".
struct BegunTake {
    std::filesystem::path path;
    SegmentId segment;
};
[[nodiscard]] std::vector<BegunTake> find_begun_takes(const std::filesystem::path& folder);
[[nodiscard]] std::filesystem::path take_path(const std::filesystem::path& folder, const SegmentId& segment);

}  // namespace runledger::tool
