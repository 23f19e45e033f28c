#include "tests/unit/nginx-module/spool/spool_fixture.hpp"

#include <filesystem>
#include <stdexcept>
#include <system_error>

namespace runledger::edge::test {
bool Ledger::take(std::span<const std::byte> message) {
    if (!is_reachable) {
        return false;
    }
    const auto request = wire::decode_request(message);
    if (const auto* retire = std::get_if<wire::Retire>(&request)) {
        if (answers_retire) {
            retired_.insert(retire->segment);
            answers_.push_back(
                wire::encode(wire::Answer{.verdict = wire::Verdict::retired,
                                          .batch = {.segment = retire->segment, .number = retire->batch_count}}));
        }
        return true;
    }
    const auto* batch = std::get_if<wire::Batch>(&request);
    if (batch == nullptr) {
        throw std::runtime_error("the edge sent what is no request");
    }
    order_.push_back(batch->name);
    const auto verdict = rule ? rule(batch->name) : wire::Verdict::committed;
    if (!verdict) {
        return true;
    }
    if (*verdict == wire::Verdict::committed) {
        std::vector<std::uint64_t> numbers;
        for (const wire::Event& event : batch->events) {
            numbers.push_back(number_of(event.body));
        }
        const auto [found, is_new] = batches_.try_emplace(batch->name, numbers);
        if (is_new) {
            arrivals_.insert(arrivals_.end(), numbers.begin(), numbers.end());
        }
        conflicts_ += !is_new && found->second != numbers ? 1 : 0;
    }
    const auto reason = *verdict == wire::Verdict::refused ? wire::Damage::unknown_version : wire::Damage::none;
    answers_.push_back(wire::encode(wire::Answer{.verdict = *verdict, .reason = reason, .batch = batch->name}));
    return true;
}

std::optional<std::vector<std::byte>> Ledger::next_answer() {
    if (answers_.empty()) {
        return std::nullopt;
    }
    auto answer = std::move(answers_.front());
    answers_.pop_front();
    return answer;
}

std::multiset<std::uint64_t> Ledger::events() const {
    std::multiset<std::uint64_t> numbers;
    for (const auto& [name, batch] : batches_) {
        numbers.insert(batch.begin(), batch.end());
    }
    return numbers;
}

void deliver(BatchDelivery& delivery, Ledger& ledger, SteadyTime now) {
    const BatchDelivery::Send send = [&](BatchDelivery::PeerIndex, std::span<const std::byte> message) {
        return ledger.take(message);
    };
    bool moved = true;
    while (moved) {
        moved = delivery.pump(now, send) == BatchDelivery::Progress::more;
        while (const auto answer = ledger.next_answer()) {
            delivery.take_answer(0, *answer, now);
            moved = true;
        }
    }
}

SpoolFixture::SpoolFixture() : folder_(temp_.make_folder("spool")), files_(folder_) {
    settings_.folder = folder_;
    settings_.bytes_max = 4UL * 1024 * 1024;          // Segments of 256 KiB.
    settings_.read_slice = std::chrono::minutes{10};  // However busy the machine is.
    delivery_settings_.read_slice = settings_.read_slice;
}

void SpoolFixture::start() {
    spool_ = std::make_unique<Spool>(
        settings_, files_, [this] { return wall_now_ += std::chrono::microseconds{1}; }, log_);
    delivery_ = std::make_unique<BatchDelivery>(peers_, delivery_settings_, *spool_, log_);
    delivery_->on_peer_up(0, now_);
}

void SpoolFixture::stop() {
    spool_->close();
    kill();
}

void SpoolFixture::kill() {
    delivery_.reset();
    spool_.reset();
}

void SpoolFixture::power_loss(FaultFiles::Unsynced unsynced, std::uint64_t seed) {
    kill();
    files_.power_loss(unsynced, seed);
}

bool SpoolFixture::append(std::uint64_t number, std::size_t body_bytes) {
    auto encoder = make_encoder();
    add_event(encoder, number, body_bytes);
    tried_.insert(number);
    try {
        (void)spool_->append(encoder, std::chrono::sys_seconds{std::chrono::seconds{1'700'000'000}}, now_);
    } catch (const std::runtime_error&) {
        return false;  // SpoolFull or std::system_error.
    }
    answered_.insert(number);
    return true;
}

void SpoolFixture::pass(std::chrono::milliseconds time) {
    now_ += time;
    wall_now_ += time;
    spool_->tend(now_);
}

void SpoolFixture::deliver_all() { deliver(*delivery_, ledger_, now_); }

void SpoolFixture::tend_until_quiet() {
    for (int i = 0; i < 200; ++i) {
        pass(settings_.adopt_every);
        deliver_all();
    }
}

std::vector<std::string> SpoolFixture::files_in_folder() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
        names.push_back(entry.path().filename());
    }
    return names;
}

std::uint64_t SpoolFixture::allocated_bytes() const {
    PosixFiles posix;
    std::uint64_t bytes = 0;
    for (const std::string& name : files_in_folder()) {
        bytes += posix.facts(folder_ + "/" + name)->allocated_bytes;
    }
    return bytes;
}

std::string SpoolFixture::all_log() {
    std::string text;
    for (const LogLine& line : log_.take()) {
        text += line.text + "\n";
    }
    return text;
}

}  // namespace runledger::edge::test
