// What bench_instructions runs under callgrind: each of the pure functions that every event goes through, over the
// sender's payloads. Callgrind writes down what each took in a file of its own, named by the operation.
//
// Optimised as what is shipped: of a template's instances here and there the linker keeps either.
#include <valgrind/callgrind.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <variant>
#include <vector>

#include "common/event.hpp"
#include "common/spool_format.hpp"
#include "common/wire.hpp"
#include "daemon/ingest/run_state.hpp"

namespace {

using namespace runledger;

constexpr int rounds = 40;

std::vector<std::string> read_payloads(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator{folder}) {
        files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    std::vector<std::string> bodies;
    for (const auto& file : files) {
        std::ifstream stream(file);
        std::stringstream content;
        content << stream.rdbuf();
        bodies.push_back(content.str());
    }
    return bodies;
}

// The first call is not counted: it binds symbols and fills the allocator.
template <class Operation>
void measure(const char* name, Operation operation) {
    operation();
    CALLGRIND_ZERO_STATS;
    CALLGRIND_TOGGLE_COLLECT;
    for (int i = 0; i < rounds; ++i) {
        operation();
    }
    CALLGRIND_TOGGLE_COLLECT;
    CALLGRIND_DUMP_STATS_AT(name);
}

std::vector<ReceivedEvent> receive(const std::vector<std::string>& bodies) {
    std::vector<ReceivedEvent> received;
    for (const std::string& body : bodies) {
        const auto number = static_cast<std::uint32_t>(received.size());
        received.push_back({.event = std::get<Event>(decode_event(body)),
                            .stamp = {WallTime{std::chrono::seconds{1'750'000'000 + number}},
                                      BootTime{std::chrono::seconds{5000 + number}}},
                            .boot = {},
                            .redelivered = false,
                            .body = body,
                            .name = {.batch = {}, .index = number}});
    }
    return received;
}

}  // namespace

int main(int argc, char** argv) {
    const auto bodies = argc == 2 ? read_payloads(argv[1]) : std::vector<std::string>{};
    if (bodies.empty()) {
        std::fputs("usage: bench_instructions_measured FOLDER, with payloads in it\n", stderr);
        return 1;
    }
    std::size_t kept = 0;  // So that nothing is optimised away.

    measure("validate", [&] {
        for (const std::string& body : bodies) {
            kept += std::get<EventSummary>(validate_event(body)).run_id.size();
        }
    });
    measure("decode", [&] {
        for (const std::string& body : bodies) {
            kept += std::get<Event>(decode_event(body)).run_id.size();
        }
    });

    wire::BatchEncoder encoder({.boot = {}, .edge_name = "edge-1.example.com"});
    std::vector<std::byte> record;
    measure("encode", [&] {
        encoder.clear();
        record.clear();
        for (const std::string& body : bodies) {
            encoder.add({.stamp = {}, .flags = 0, .body = body});
        }
        append_record(record, {}, encoder.seal({}));
        kept += record.size();
    });

    const auto frame = encoder.finish({});
    measure("read_batch", [&] { kept += std::get<wire::Batch>(wire::decode_batch(frame)).events.size(); });

    const auto received = receive(bodies);
    measure("fold", [&] {
        std::map<std::string, RunState> runs;
        for (const ReceivedEvent& one : received) {
            merge(runs[one.event.run_id], state_of(one));
        }
        kept += runs.size();
    });

    std::printf("events %zu kept %zu\n", bodies.size() * rounds, kept);
    return 0;
}
