// What the tests of the operator's tool share: an edge with its stand-in daemon, the tool itself, and segments.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "tests/integration/edge/edge_fixture.hpp"
#include "tests/support/process.hpp"

namespace runledger::test {

class ToolFixture : public EdgeFixture {
protected:
    ToolFixture();

    // Runs `runledger spool <words>` to its end, as the user that nginx's workers run as.
    [[nodiscard]] Finished spool(std::vector<std::string> words) const;
    // The same, which must succeed; returns what it said.
    [[nodiscard]] std::string spool_says(std::vector<std::string> words) const;

    // The names of the files in a folder that end so.
    [[nodiscard]] static std::vector<std::string> files_in(const std::filesystem::path& folder,
                                                           std::string_view suffix);

    // A folder with one segment, of a batch for each of the numbers, as a worker leaves it.
    [[nodiscard]] std::filesystem::path make_spool(std::string_view name,
                                                   const std::vector<std::uint64_t>& numbers) const;
    void write_bytes(const std::filesystem::path& path, std::string_view bytes) const;

private:
    std::filesystem::path tool_;
};

}  // namespace runledger::test
