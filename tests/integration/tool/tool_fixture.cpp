#include "tests/integration/tool/tool_fixture.hpp"

#include <algorithm>
#include <fstream>

#include "common/spool_format.hpp"
#include "tests/support/frames.hpp"

namespace runledger::test {

ToolFixture::ToolFixture()
    : tool_{install_executable(folder(), std::filesystem::path{RUNLEDGER_BINARY_DIR} / "daemon" / "runledger")} {}

Finished ToolFixture::spool(std::vector<std::string> words) const {
    std::vector<std::string> argv{tool_.string()};
    if (words.front() != "--config") {
        argv.emplace_back("spool");
    }
    argv.insert(argv.end(), words.begin(), words.end());
    return run_to_end({.argv = argv}, folder());
}

std::string ToolFixture::spool_says(std::vector<std::string> words) const {
    const Finished finished = spool(std::move(words));
    EXPECT_TRUE(finished.status.clean()) << finished.output;
    return finished.output;
}

std::vector<std::string> ToolFixture::files_in(const std::filesystem::path& folder, std::string_view suffix) {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().filename().string().ends_with(suffix)) {
            names.push_back(entry.path().filename().string());
        }
    }
    std::ranges::sort(names);
    return names;
}

std::filesystem::path ToolFixture::make_spool(std::string_view name, const std::vector<std::uint64_t>& numbers) const {
    const std::filesystem::path path = folder().make_folder(name);
    const SegmentId id = segment_id(0xC3);
    const auto header = encode_segment_header(
        {.id = id, .reserved_bytes = 4096, .created_at = WallTime{std::chrono::microseconds{1'700'000'000'000'000}}});
    std::vector<std::byte> file(header.begin(), header.end());
    for (BatchNumber batch = 0; batch < numbers.size(); ++batch) {
        append_record(file, batch, make_frame({.segment = id, .number = batch}, {numbers[batch]}));
    }
    // NOLINTNEXTLINE: bytes are bytes.
    write_bytes(path / segment_file_name(id), {reinterpret_cast<const char*>(file.data()), file.size()});
    return path;
}

void ToolFixture::write_bytes(const std::filesystem::path& path, std::string_view bytes) const {
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    give_away(path);
}

}  // namespace runledger::test
