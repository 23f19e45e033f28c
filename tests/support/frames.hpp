// Events with a number in them, and the wire frames and segment ids that tests of the spool and of the wire are made
// of.
//
// Everything is a pure function of its arguments: the same number gives the same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/identity.hpp"
#include "common/wire.hpp"

namespace runledger::test {

// A body that decodes, and that find_number() tells apart from all others. Padded to at least `bytes`.
[[nodiscard]] std::string body_of(std::uint64_t number, std::size_t bytes = 0);
[[nodiscard]] std::uint64_t number_of(std::string_view body);

[[nodiscard]] wire::BatchEncoder make_encoder();
void add_event(wire::BatchEncoder& encoder, std::uint64_t number, std::size_t body_bytes = 0);
// A frame as it is in a record.
[[nodiscard]] std::vector<std::byte> make_frame(const BatchName& name, const std::vector<std::uint64_t>& numbers,
                                                std::size_t body_bytes = 0);
[[nodiscard]] SegmentId segment_id(std::uint8_t fill);

}  // namespace runledger::test
