// A file that is written beside its place and put there when it is whole: whoever reads it has the old one or the new
// one, never a part, whatever ends the program meanwhile.
//
// One thread.
#pragma once

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string_view>

namespace runledger::tool {

class ReplacedFile {
public:
    // Begins ".NAME-PID" in the folder of `path`; of a symbolic link, in that of its target, which is replaced then.
    // Throws Misused if `path` is there and no regular file, and std::system_error if the file can't be made.
    explicit ReplacedFile(const std::filesystem::path& path);
    ReplacedFile(const ReplacedFile&) = delete;
    ReplacedFile& operator=(const ReplacedFile&) = delete;
    // Removes what was not put in its place.
    ~ReplacedFile();

    // Throws std::system_error.
    void write(std::string_view bytes);
    // Syncs it and puts it in its place, with its name synced, too. Throws std::system_error; the old file then stays.
    void put_in_place();

private:
    struct Close {
        void operator()(std::FILE* file) const noexcept {
            static_cast<void>(std::fclose(file));
        }  // Synced, or given up.
    };
    [[noreturn]] void fail(std::string_view doing) const;

    std::filesystem::path path_;
    std::filesystem::path beside_;
    std::unique_ptr<std::FILE, Close> file_;
};

}  // namespace runledger::tool
