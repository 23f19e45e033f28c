// The ways in which the spool reader's fuzzer makes a file, and what must hold of what is read from it.
#pragma once

#include <cstddef>
#include <span>

#include "common/identity.hpp"
#include "common/spool_format.hpp"
#include "tests/fuzz/input_bytes.hpp"

namespace runledger::fuzz {

// The segment that the fuzzer's files are of.
[[nodiscard]] SegmentId fuzzed_segment();

// What holds of every scan, whatever the file: returned so that more can be asked of it.
SegmentScan scan_soundly(std::span<const std::byte> file);

// Whether the record of that number stands there, has its last byte, and something in every block of 512 bytes.
[[nodiscard]] bool holds_whole_record(std::span<const std::byte> file, std::size_t offset, BatchNumber number);

void read_any_file(InputBytes input);
// The bytes as the folder's file `identity`.
void read_any_identity(InputBytes input);
void read_built_segment(InputBytes input);

}  // namespace runledger::fuzz
