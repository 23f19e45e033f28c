// [comfydeploy] of the configuration: what an operator may set of the reconcile stage. docs/settings.md says what each
// key does.
#pragma once

#include <chrono>
#include <string>

#include "daemon/base/secret.hpp"

namespace runledger {

struct ReconcileSettings {
    // How long nothing may be heard of a run before it is looked up, by how far it had come.
    struct Silence {
        std::chrono::seconds queued{std::chrono::minutes{15}};
        std::chrono::seconds started{std::chrono::minutes{15}};
        std::chrono::seconds running{std::chrono::minutes{10}};
        std::chrono::seconds uploading{std::chrono::minutes{5}};
        std::chrono::seconds other{std::chrono::minutes{15}};    // not-started, and words that are not known.
        std::chrono::seconds unheard{std::chrono::minutes{15}};  // A generation of which no event ever came.

        bool operator==(const Silence&) const = default;
    };

    std::string api_url{"https://api.comfydeploy.com/api"};
    std::string api_key_file;  // Empty: none, and nothing is looked up.
    Secret api_key;            // What the file holds, without white space around it.
    Silence silence;
    std::chrono::seconds give_up{std::chrono::hours{24 * 7}};     // Silent for longer: not looked up any more.
    unsigned concurrency{4};                                      // Look-ups at a time, 1 to 32.
    std::chrono::milliseconds timeout{std::chrono::seconds{20}};  // Of one look-up.
    std::chrono::milliseconds retry_delay_min{std::chrono::minutes{1}};
    std::chrono::milliseconds retry_delay_max{std::chrono::hours{1}};

    bool operator==(const ReconcileSettings&) const = default;
};

}  // namespace runledger
