// The spool's reader, in three ways that the input's first byte chooses between:
//   a file of any bytes, as it comes and once more with its header and records signed, so that what lies behind the
//   checksums is reached: what the reader finds is in order, in bounds and true, and what it says of the end follows;
//   a segment built from the input, with gaps, repeats, foreign, damaged and missing records: the reader finds exactly
//   what a few lines of model say, after a cut and a changed byte too;
//   the folder's file `identity`: it is read exactly as it is written.
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/input_bytes.hpp"
#include "tests/fuzz/spool_cases.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    runledger::fuzz::InputBytes input({data, size});
    switch (input.take_integer<std::uint8_t>() % 3) {
        case 0:
            runledger::fuzz::read_any_file(input);
            break;
        case 1:
            runledger::fuzz::read_built_segment(input);
            break;
        default:
            runledger::fuzz::read_any_identity(input);
            break;
    }
    return 0;
}
