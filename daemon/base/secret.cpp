#include "daemon/base/secret.hpp"

#include <sys/stat.h>

#include <cstddef>
#include <fstream>
#include <sstream>

namespace runledger {

std::optional<Secret> read_secret_file(const std::string& path) {
    std::ifstream file(path);
    std::stringstream content;
    content << file.rdbuf();
    std::string text = content.str();
    const std::size_t begin = text.find_first_not_of(" \t\r\n");
    if (!file || begin == std::string::npos) {
        return std::nullopt;
    }
    return Secret(text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1));
}

bool is_open_to_others(const std::string& path) {
    struct stat facts {};
    return ::stat(path.c_str(), &facts) == 0 && (facts.st_mode & S_IRWXO) != 0;
}

std::optional<Secret> read_guarded_secret_file(const std::string& path) {
    return is_open_to_others(path) ? std::nullopt : read_secret_file(path);
}

}  // namespace runledger
