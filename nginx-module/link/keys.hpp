// The edge's CURVE keys: what the link needs of them, and how they are read from their files.
//
// Read in the master, before workers lose the right to; no socket and no thread is made. Plain C++, no nginx.
#pragma once

#include <string>
#include <variant>
#include <vector>

namespace runledger::edge {

// Z85, 40 characters each. The secret one is never logged.
struct CurveKeys {
    std::string secret;
    std::string own_public;            // Belongs to `secret`; daemons know the edge by it.
    std::vector<std::string> daemons;  // Any of them may be the daemon's, at least one: a key is rotated that way.
};

struct CurveFiles {
    std::string secret_key;   // One key, and nobody else may read the file.
    std::string server_keys;  // The daemons' public keys.
};

// A sentence that names the file, and nothing that is in it.
struct CurveFault {
    std::string sentence;
};

[[nodiscard]] std::variant<CurveKeys, CurveFault> read_curve_keys(const CurveFiles& files);

}  // namespace runledger::edge
