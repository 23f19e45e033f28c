#include "tests/integration/ledger/appliers_fixture.hpp"

namespace runledger::test {

Appliers::Appliers(const std::string& uri, unsigned count, const ApplyTuning& tuning,
                   std::initializer_list<const MadeBatch*> first) {
    for (const MadeBatch* batch : first) {
        offer(*batch);
    }
    for (unsigned i = 0; i < count; ++i) {
        appliers_.push_back(std::make_unique<Applier>(uri, queue_, stop_, settle_, counters_, tuning));
        threads_.emplace_back([&applier = *appliers_.back()] { applier.run(); });
    }
}

Appliers::~Appliers() { stop(); }

void Appliers::stop() {
    queue_.close();
    stop_.stop();
    for (std::thread& thread : threads_) {
        thread.join();
    }
    threads_.clear();
}

void Appliers::offer(const MadeBatch& batch) {
    ASSERT_NE(queue_.offer({.peer = "edge", .frame = batch.frame(), .key = batch.batch().name}),
              IntakeQueue::Offer::full);
}

const std::set<BatchName>& Appliers::committed() {
    for (const auto& [peer, answer] : queue_.take_answers()) {
        EXPECT_EQ(answer.verdict, wire::Verdict::committed);
        committed_.insert(answer.batch);
    }
    return committed_;
}

void Appliers::wait_for(std::size_t batches, std::chrono::milliseconds patience) {
    eventually(
        "the batches are committed", [&] { return committed().size() >= batches; }, patience);
}

std::size_t log_mark(const PostgresServer& server) { return server.log_text().size(); }

bool log_says(const PostgresServer& server, std::size_t since, std::string_view words) {
    return server.log_text().find(words, since) != std::string::npos;
}

}  // namespace runledger::test
