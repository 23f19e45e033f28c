// Masks the links in a log line: query, fragment, user and password are removed, because a presigned link's query is a
// key, and logs are kept and copied.
//
// A pure function. The logger calls it for every line, so that no caller can forget it. It gives the same result as
// runledger.masked_links(text) in the database; a test compares the two.
#pragma once

#include <string>
#include <string_view>

namespace runledger {

// The text, JSON or not, with each link cut after its path. A link ends at white space, a quotation mark or an angle
// bracket; its slashes, ? and # may be escaped as in JSON. In doubt it masks too much rather than too little.
[[nodiscard]] std::string masked_links(std::string_view text);

}  // namespace runledger
