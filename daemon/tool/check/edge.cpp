#include "daemon/tool/check/edge.hpp"

#include <fstream>
#include <regex>
#include <system_error>

namespace runledger::tool {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t files_max = 1000;

std::uint64_t bytes_of(const std::string& digits, const std::string& unit) {
    std::uint64_t bytes = 0;
    for (const char c : digits) {
        bytes = bytes * 10 + static_cast<std::uint64_t>(c - '0');
    }
    if (unit == "k" || unit == "K") {
        return bytes << 10U;
    }
    if (unit == "m" || unit == "M") {
        return bytes << 20U;
    }
    return unit == "g" || unit == "G" ? bytes << 30U : bytes;
}

std::string unquoted(std::string text) {
    if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front()) {
        return text.substr(1, text.size() - 2);
    }
    return text;
}

void read(const fs::path& path, EdgeSearch& search, std::string& user) {
    static const std::regex spool(R"re(^\s*runledger_spool\s+("[^"]*"|'[^']*'|[^\s;]+)([^;]*))re");
    static const std::regex max_size(R"re(max_size=([0-9]{1,12})([kKmMgG]?))re");
    static const std::regex user_directive(R"re(^\s*user\s+([^\s;]+))re");
    std::ifstream file(path);
    if (!file) {
        search.unreadable = path.string();
        return;
    }
    for (std::string line; std::getline(file, line);) {
        std::smatch found;
        if (std::regex_search(line, found, user_directive)) {
            user = unquoted(found[1]);
        }
        if (!search.edge && std::regex_search(line, found, spool)) {
            LocalEdge& edge = search.edge.emplace();
            edge.spool = unquoted(found[1]);
            const std::string options = found[2];
            if (std::regex_search(options, found, max_size)) {
                edge.spool_bytes_max = bytes_of(found[1], found[2]);
            }
        }
    }
}

}  // namespace

EdgeSearch find_edge(const fs::path& folder) {
    EdgeSearch search;
    std::string user = "www-data";
    std::error_code error;
    std::size_t files = 0;
    for (fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, error), end;
         !error && at != end && files < files_max; at.increment(error)) {
        const fs::path& path = at->path();
        const bool is_read = path.extension() == ".conf" || path.parent_path().filename() == "sites-enabled";
        if (is_read && fs::is_regular_file(path, error)) {
            ++files;
            read(path, search, user);
        }
        error.clear();  // A link to nothing ends no search.
    }
    if (error && error != std::errc::no_such_file_or_directory) {
        search.unreadable = folder.string();
    }
    if (search.edge) {
        search.edge->workers = find_account(user);
    }
    return search;
}

}  // namespace runledger::tool
