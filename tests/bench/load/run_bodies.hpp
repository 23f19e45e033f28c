// The webhooks of made-up runs, one body after another, as ComfyDeploy would send them: each run is queued, started,
// running, three times further, uploading, and done. Which of the runs in flight speaks next is drawn from the seed.
//
// Repeatable: equal options give equal bodies. Not for sharing between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace runledger::bench {

struct BodyOptions {
    std::uint64_t seed{1};
    std::size_t runs_in_flight{1000};
    // Every body is filled up to so many bytes: small ones in the live status, larger ones with images. 0: as they
    // come, some 170 bytes, and 660 with the picture.
    std::size_t body_bytes{0};
};

// As a UUID is written: the n-th run that the seed makes.
[[nodiscard]] std::string run_id_of(std::uint64_t seed, std::uint64_t number);

class RunBodies {
public:
    explicit RunBodies(const BodyOptions& options);

    // Appends the next body.
    void append_next(std::string& out);
    // How many runs have begun.
    [[nodiscard]] std::uint64_t runs() const noexcept { return next_run_; }

private:
    struct Run {
        std::string id;
        std::size_t step{};
    };

    void fill_up(std::string& out, std::size_t begin) const;

    BodyOptions options_;
    std::vector<Run> in_flight_;
    std::string images_;  // What larger bodies are filled with.
    std::uint64_t next_run_{};
    std::uint64_t draws_{};
};

}  // namespace runledger::bench
