#include "daemon/base/secret.hpp"

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

}  // namespace runledger
