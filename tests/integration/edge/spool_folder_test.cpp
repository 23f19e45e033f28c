// The spool's folder and a real nginx: whose it is, and what becomes of it.
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "common/spool_identity.hpp"
#include "tests/integration/edge/edge_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

class SpoolFolder : public EdgeFixture {
protected:
    [[nodiscard]] Finished check(const std::string& conf, const fs::path& spool) {
        checked_.emplace(folder(), conf, NginxOptions{.name = "checked", .spool = spool});
        return checked_->check_conf();
    }
    [[nodiscard]] NginxServer& checked() { return *checked_; }

    [[nodiscard]] static std::string identity_of(const fs::path& spool) { return read_text(spool / "identity"); }
    static void write_identity(const fs::path& spool, std::string_view text) {
        std::ofstream(spool / "identity") << text;
        give_away(spool / "identity");
    }
    [[nodiscard]] static std::string another_hosts() {
        return format_spool_identity({.folder = {}, .host = SpoolHost::from_name("another-host")});
    }

private:
    std::optional<NginxServer> checked_;
};

TEST_F(SpoolFolder, IsClaimedByTheFirstStartAndNotByACheck) {
    const fs::path spool = folder().make_folder("spool");
    EXPECT_TRUE(check(standard_conf(), spool).status.clean());
    EXPECT_TRUE(fs::is_empty(spool));

    checked().start();
    eventually("a worker claims the folder", [&] { return !identity_of(spool).empty(); });
    const std::string first = identity_of(spool);
    const auto parsed = parse_spool_identity(first);
    ASSERT_TRUE(std::holds_alternative<SpoolIdentity>(parsed)) << first;
    checked().reload();
    checked().quit();

    EXPECT_EQ(identity_of(spool), first);
    EXPECT_TRUE(checked().check_conf().status.clean());
    checked().check_logs();
}

TEST_F(SpoolFolder, ThatIsNotThisHostsIsRefusedWithTheWayOut) {
    struct Row {
        std::string_view name;
        std::string text;
        std::string_view sentence;
    };
    const Row rows[] = {
        {"another host's", another_hosts(), "the folder belongs to the host \"another-host\""},
        {"damaged", "runledger-spool 1\nfolder ", "\"identity\", which says whose it is, is damaged"},
        {"a later version's", "runledger-spool 2\n", "was written by a later version"},
    };
    const fs::path spool = folder().make_folder("spool");
    for (const Row& row : rows) {
        SCOPED_TRACE(row.name);
        write_identity(spool, row.text);

        const Finished result = check(standard_conf(), spool);

        EXPECT_FALSE(result.status.clean());
        EXPECT_NE(result.output.find("[emerg]"), std::string::npos) << result.output;
        EXPECT_NE(result.output.find(row.sentence), std::string::npos) << result.output;
        EXPECT_NE(result.output.find("\"runledger spool claim " + spool.string() + "\""), std::string::npos)
            << result.output;
        EXPECT_EQ(identity_of(spool), row.text);
    }
}

TEST_F(SpoolFolder, ThatCannotBeReadIsRefused) {
    if (running_as_root() && unprivileged_user().uid == 0) {
        GTEST_SKIP() << "root reads everything";
    }
    const fs::path spool = folder().make_folder("spool");
    write_identity(spool, another_hosts());
    fs::permissions(spool / "identity", fs::perms::none);

    const Finished result = check(standard_conf(), spool);

    EXPECT_FALSE(result.status.clean());
    EXPECT_NE(result.output.find("can't be read"), std::string::npos) << result.output;
}

TEST_F(SpoolFolder, OfAHostThatItsOperatorHasNamedIsThatHosts) {
    const fs::path spool = folder().make_folder("spool");
    write_identity(spool, another_hosts());

    EXPECT_FALSE(check(standard_conf({.spool_options = "host=a-third"}), spool).status.clean());
    const Finished result = check(standard_conf({.spool_options = "host=another-host"}), spool);

    EXPECT_TRUE(result.status.clean()) << result.output;
}

TEST_F(SpoolFolder, ThatBecomesAnotherHostsRefusesTheReloadAndIsLeftAloneByWorkers) {
    start_nginx({.location_extra = "runledger_timeout 1s;"});
    const auto events = post_until_answered(3);
    eventually("it is claimed", [&] { return !identity_of(nginx().spool()).empty(); });
    const std::string ours = identity_of(nginx().spool());
    const auto workers = nginx().worker_pids();
    write_identity(nginx().spool(), another_hosts());
    allow_alarm("[emerg]");

    wait_for_error_log("spool refused");
    nginx().signal_master(SIGHUP);
    wait_for_error_log("[emerg]");
    EXPECT_EQ(nginx().worker_pids(), workers) << "the old ones go on";
    allow_alarm(NginxServer::death_notice());
    nginx().kill_workers(SIGKILL);
    eventually("the next worker refuses", [this] { return post(fresh_event()).status == 503; });
    start_daemon();
    wait_for_error_log("link up");
    EXPECT_EQ(post(fresh_event()).status, 503) << "a second, in which it could have adopted something";
    EXPECT_TRUE(daemon().delivered().empty()) << "the dead worker's segments are not adopted";

    write_identity(nginx().spool(), ours);
    auto all = events;
    eventually("the edge answers again", [&] {
        const std::string event = fresh_event();
        const bool answered = post(event).status == 200;
        if (answered) {
            all.push_back(event);
        }
        return answered;
    });
    eventually("what was answered is delivered", [&] {
        const auto delivered = daemon().delivered_bodies();
        return std::ranges::all_of(
            all, [&](const std::string& body) { return std::ranges::find(delivered, body) != delivered.end(); });
    });
}

TEST_F(SpoolFolder, InMemoryIsWarnedOf) {
    const fs::path spool = folder().make_folder("spool");
    const auto user = unprivileged_user();
    const std::string options =
        "size=80m,mode=0755,uid=" + std::to_string(user.uid) + ",gid=" + std::to_string(user.gid);
    if (::mount("tmpfs", spool.c_str(), "tmpfs", 0, options.c_str()) != 0) {
        GTEST_SKIP() << "mounting needs rights that this user has not: " << std::strerror(errno);
    }

    const Finished result = check(standard_conf(), spool);

    EXPECT_EQ(::umount2(spool.c_str(), MNT_DETACH), 0);
    EXPECT_TRUE(result.status.clean()) << result.output;
    EXPECT_NE(result.output.find("[warn] runledger: runledger_spool \"" + spool.string() +
                                 "\": the folder is on tmpfs, which does not survive a power loss"),
              std::string::npos)
        << result.output;
}

}  // namespace
}  // namespace runledger::test
