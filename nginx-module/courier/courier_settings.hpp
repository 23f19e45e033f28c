// The courier's settings and its figures, those of its spool and its link in them. Plain values.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "nginx-module/link/link_settings.hpp"
#include "nginx-module/refused/refused_settings.hpp"
#include "nginx-module/spool/spool_settings.hpp"

namespace runledger::edge {

class Files;  // nginx-module/spool/files.hpp

struct CourierSettings {
    SpoolSettings spool;
    LinkSettings link;
    std::string edge_name;  // The host's name unless configured.
    std::size_t held_events_max{8192};
    std::size_t held_bytes_max{64UL * 1024 * 1024};

    // No directive sets these; tests do.
    std::chrono::milliseconds commit_retry_min{50};
    std::chrono::milliseconds commit_retry_max{500};
    std::shared_ptr<Files> files;  // Nothing: the file system.
};

// Why commits do not succeed at the moment.
enum class CommitTrouble : std::uint8_t {
    none,
    no_room,       // Neither the spool's bound nor its disk has room.
    disk_failing,  // Whatever else the disk says.
};

struct CommitFigures {
    std::uint64_t events{};
    std::uint64_t batches{};
    std::uint64_t failures{};
    CommitTrouble trouble{};          // Of the last commit.
    std::uint64_t failing_seconds{};  // Since the first failure after the last success; 0 if that is the last.
};

struct CourierFigures {
    CommitFigures commits;
    SpoolFigures spool;
    LinkFigures link;
    DeliveryFigures delivery;
    std::uint64_t held_events{};
    std::uint64_t held_bytes{};
    RefusedFigures refused;  // Of the worker's keeper, which the worker adds.
    bool has_started{};      // There was a thread for it.
    bool is_draining{};      // Needs no link.

    [[nodiscard]] bool is_link_up() const noexcept { return link.endpoints_up > 0; }
};

}  // namespace runledger::edge
