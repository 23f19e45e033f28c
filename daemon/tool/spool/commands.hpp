// `runledger spool …`: what an operator does with a spool folder, live or of a host that is gone.
//
// Each command is a function of what the command line says; it writes its result to `out` and throws SpoolError where
// it can't do what it was asked. None needs the daemon; only retire asks the database, and only if it is given one.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "daemon/tool/output/output.hpp"

namespace runledger::tool {

struct ListOptions {
    std::filesystem::path folder;
};
// Each segment, a line: its state, when it was made, what it holds, what it takes on the disk.
int list_spool(const ListOptions& options, Output& out);

struct ShowOptions {
    std::filesystem::path folder;
    std::string segment;  // An id, or the beginning of just one.
    std::optional<std::uint64_t> batch;
    bool bodies{false};
};
// Each event of a segment, a line; in JSON as export writes it, with the bodies only if they are wanted.
int show_segment(const ShowOptions& options, Output& out);

struct ExportOptions {
    std::filesystem::path folder;
    std::vector<std::string> segments;  // Empty: all.
    std::filesystem::path to;           // Empty: events as JSON lines to `out`. Else segment files into this folder.
};
int export_spool(const ExportOptions& options, Output& out);

struct ImportOptions {
    std::filesystem::path folder;             // The spool of an nginx, running or not.
    std::vector<std::filesystem::path> from;  // Segment files, or folders of them.
    bool source_is_gone{false};  // Nothing will ever be sent from there again: these are the originals now.
};
// Puts segments into a spool; its nginx adopts and sends them within a second or two.
int import_segments(const ImportOptions& options, Output& out);

struct ResendOptions {
    std::filesystem::path folder;
    std::vector<std::string> segments;
    bool all_kept{false};
};
// Gives kept (or repaired) segments their name back, so that a courier adopts and sends them again.
int resend_segments(const ResendOptions& options, Output& out);

struct ClaimOptions {
    std::filesystem::path folder;
    std::string host;  // What `host=` of runledger_spool says; empty: this machine.
};
// Makes the folder this host's: replaces its file `identity`. Not while an nginx runs on it.
int claim_spool(const ClaimOptions& options, Output& out);

struct RetireOptions {
    std::filesystem::path folder;
    std::string postgres_uri;      // Empty: without the database.
    std::chrono::seconds wait{0};  // Looks again until then.
};
// Whether the host can be deleted without losing an event: exit_yes or exit_no.
int retire_spool(const RetireOptions& options, Output& out);

}  // namespace runledger::tool
