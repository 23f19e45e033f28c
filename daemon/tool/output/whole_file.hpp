// A file that is written beside its place and gets its name when it is whole: whoever reads that name finds the old
// file or the new one, never a part, whatever ends the program meanwhile.
//
// One thread.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <span>
#include <string_view>

namespace runledger::tool {

// Where an operator's file is put: `path`, or the target of a symbolic link that leads somewhere. Throws Misused if it
// is there and no regular file.
[[nodiscard]] std::filesystem::path place_of_file(const std::filesystem::path& path);

// On return the folder's entries are on stable storage. Throws std::system_error.
void sync_folder(const std::filesystem::path& folder);

// Whatever fails throws std::system_error, which names the path; an old file then stays.
class WholeFile {
public:
    // Begins ".NAME-PID" in the folder of `path`. The umask takes what of the mode others may not have.
    explicit WholeFile(std::filesystem::path path, mode_t mode = 0666);
    WholeFile(const WholeFile&) = delete;
    WholeFile& operator=(const WholeFile&) = delete;
    // Removes what has got no name.
    ~WholeFile();

    void write(std::span<const std::byte> bytes);
    void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
    // By root; anybody else's files belong to himself.
    void give_to_owner_of_folder();

    // As who may read the file that has the name, if one has it: its mode, and by root its owner. Before anything is
    // written.
    void take_rights_of_old();

    // Syncs it and gives it its name, in place of another file; the name is synced, too, unless the folder can't be
    // read.
    void replace();
    // The same if no file has the name; else returns false.
    [[nodiscard]] bool take_name();

private:
    void sync();
    void sync_name();

    std::filesystem::path path_;
    std::filesystem::path beside_;
    int fd_{-1};
};

}  // namespace runledger::tool
