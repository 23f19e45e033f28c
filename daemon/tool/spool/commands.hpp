// `runledger spool …`: what an operator does with a spool folder, live or of a host that is gone.
//
// Each command is a function of what the command line says; it writes its result to `out` and throws SpoolError where
// it can't do what it was asked. None needs the daemon; only retire asks the database, and only if it is given one.
#pragma once

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace runledger::tool {

// What main() returns. 0: done, or "yes"; 1: an error; 3: "no", where the command is a question.
inline constexpr int exit_yes = 0;
inline constexpr int exit_no = 3;

struct ListOptions {
    std::filesystem::path folder;
    bool json{false};
};
// Each segment, a line: its state, when it was made, what it holds, what it takes on the disk.
int list_spool(const ListOptions& options, std::FILE* out);

struct ShowOptions {
    std::filesystem::path folder;
    std::string segment;  // An id, or the beginning of just one.
    std::optional<std::uint64_t> batch;
    bool bodies{false};
};
// Each event of a segment, a line; or, with bodies, as export writes it.
int show_segment(const ShowOptions& options, std::FILE* out);

struct ExportOptions {
    std::filesystem::path folder;
    std::vector<std::string> segments;  // Empty: all.
    std::filesystem::path to;           // Empty: events as JSON lines to `out`. Else segment files into this folder.
};
int export_spool(const ExportOptions& options, std::FILE* out);

struct ImportOptions {
    std::filesystem::path folder;             // The spool of an nginx, running or not.
    std::vector<std::filesystem::path> from;  // Segment files, or folders of them.
    bool source_is_gone{false};  // Nothing will ever be sent from there again: these are the originals now.
};
// Puts segments into a spool; its nginx adopts and sends them within a second or two.
int import_segments(const ImportOptions& options, std::FILE* out);

struct ResendOptions {
    std::filesystem::path folder;
    std::vector<std::string> segments;
    bool all_kept{false};
};
// Gives kept (or repaired) segments their name back, so that a courier adopts and sends them again.
int resend_segments(const ResendOptions& options, std::FILE* out);

struct ClaimOptions {
    std::filesystem::path folder;
    std::string host;  // What `host=` of runledger_spool says; empty: this machine.
};
// Makes the folder this host's: replaces its file `identity`. Not while an nginx runs on it.
int claim_spool(const ClaimOptions& options, std::FILE* out);

struct RetireOptions {
    std::filesystem::path folder;
    std::string postgres_uri;      // Empty: without the database.
    std::chrono::seconds wait{0};  // Looks again until then.
};
// Whether the host can be deleted without losing an event: exit_yes or exit_no.
int retire_spool(const RetireOptions& options, std::FILE* out);

}  // namespace runledger::tool
