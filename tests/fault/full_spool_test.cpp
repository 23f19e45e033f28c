// The spool fills its disk while the daemon is away: what was answered 2xx is delivered once the daemon is back, the
// edge accepts again by itself, and nobody frees anything by hand.
#include <fmt/format.h>
#include <sys/mount.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>
#include <thread>

#include "tests/integration/pipeline/pipeline_fixture.hpp"

namespace runledger::test {
namespace {

constexpr std::size_t disk_bytes = 64UL * 1024 * 1024;

class FullSpool : public Pipeline {
protected:
    FullSpool() {
        nginx_conf.location_extra = "runledger_timeout 500ms;";
        nginx_options.spool = folder().make_folder("small");
    }
    ~FullSpool() override {
        if (mounted_) {
            umount2(nginx_options.spool.c_str(),
                    MNT_DETACH);  // The namespace ends with the machine, not with the test.
        }
    }

    // False where the machine does not let us mount.
    [[nodiscard]] bool mount_small_disk() {
        const auto user = unprivileged_user();
        const std::string options = fmt::format("size={},uid={},gid={},mode=0755", disk_bytes, user.uid, user.gid);
        mounted_ = mount("tmpfs", nginx_options.spool.c_str(), "tmpfs", 0, options.c_str()) == 0;
        return mounted_;
    }

    [[nodiscard]] static std::string big_event(std::string_view run_id) {
        return fmt::format(
            R"({{"run_id": "{}", "status": "success", "outputs": [{{"id": "o", "data": {{"text": ["{}"]}}}}]}})",
            run_id, std::string(200'000, 'x'));
    }

    // From four connections at once, until each of them was refused a few times in a row. Returns the accepted runs.
    std::set<std::string> post_until_refused() {
        constexpr int senders = 4;
        std::vector<std::set<std::string>> accepted(senders);
        std::vector<std::thread> threads;
        for (int sender = 0; sender < senders; ++sender) {
            threads.emplace_back([&, sender] {
                int refused = 0;
                for (int i = 0; refused < 3 && i < 1000; ++i) {
                    const std::string run_id = fmt::format("run-{}-{}", sender, i);
                    const long status = post(big_event(run_id));
                    if (status == 200) {
                        accepted[static_cast<std::size_t>(sender)].insert(run_id);
                        refused = 0;
                    } else {
                        EXPECT_EQ(status, 503);
                        ++refused;
                    }
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        std::set<std::string> all;
        for (auto& some : accepted) {
            all.merge(some);
        }
        return all;
    }

    void fill_deliver_and_accept_again() {
        start_all();
        daemon().stop();

        auto accepted = post_until_refused();
        // What did not fit as a batch of four may fit as one event.
        for (int i = 0; post(big_event(fmt::format("alone-{}", i))) == 200; ++i) {
            accepted.insert(fmt::format("alone-{}", i));
        }
        EXPECT_GT(accepted.size() * 200'000, disk_bytes / 2) << "most of the disk was put to use";
        daemon().start();

        eventually(
            "the edge accepts again", [&] { return post(big_event("after")) == 200; }, std::chrono::seconds{60});
        eventually(
            "all that was accepted is in the ledger",
            [&] {
                const auto connection = connect_to(uri());
                pqxx::work work(*connection);
                auto missing = accepted;
                for (const auto& row : work.exec("SELECT run_id FROM runledger.webhook_events")) {
                    missing.erase(row[0].as<std::string>());
                }
                return missing.empty();
            },
            std::chrono::seconds{60});
        expect_the_books_balance();
    }

private:
    bool mounted_{false};
};

TEST_F(FullSpool, OfItsOwnSizeIsWorkedOffWithoutHelp) {
    nginx_conf.spool_options = "max_size=64m";

    fill_deliver_and_accept_again();
}

TEST_F(FullSpool, OnAFullDiskIsWorkedOffWithoutHelp) {
    if (!mount_small_disk()) {
        GTEST_SKIP() << "a tmpfs can't be mounted here: " << std::strerror(errno);
    }

    fill_deliver_and_accept_again();
}

}  // namespace
}  // namespace runledger::test
