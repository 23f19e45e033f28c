// What was built. Defined by the target runledger::version, whose file each build writes anew.
#pragma once

#include <string_view>

namespace runledger {

// "0.1.0 (8a4ffeb5c1d2)": the project's version, and git's description of the source (a tag, the commits since, the
// commit; "-dirty" if files were changed). Without the parentheses if the source was not under git.
[[nodiscard]] std::string_view build_version() noexcept;

}  // namespace runledger
