// What a log line may show of the links in it: no query, fragment, user or password, since a presigned link's query is
// a key, and logs are kept and copied.
//
// A pure function, called for every line where lines are written, so that no caller can forget it. Says the same as
// runledger.masked_links(text) in the database; a test compares the two.
#pragma once

#include <string>
#include <string_view>

namespace runledger {

// The text, JSON or not, with each link cut after its path. A link ends at white space, a quotation mark or an angle
// bracket; its slashes, ? and # may be escaped as in JSON. Too much is masked rather than too little.
[[nodiscard]] std::string masked_links(std::string_view text);

}  // namespace runledger
