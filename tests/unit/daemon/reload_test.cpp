// What a reload makes of a file: all of it, or nothing.
#include "daemon/reload.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/support/temp_folder.hpp"

namespace runledger {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* minimal = "[postgres]\nuri = \"dbname=x\"\n";

class Reload : public testing::Test {
protected:
    void write(std::string_view text) const { (void)folder_.write_file("c.toml", text); }
    [[nodiscard]] ConfigInUse in_use(std::string_view text) {
        return {folder_.path() / "c.toml", load_config(folder_.write_file("c.toml", text)), counters_};
    }
    [[nodiscard]] const ConfigCounters& counters() const { return counters_; }
    [[nodiscard]] const test::TempFolder& folder() const { return folder_; }

private:
    test::TempFolder folder_;
    ConfigCounters counters_;
};

TEST_F(Reload, TakesEveryNewValue) {
    ConfigInUse config = in_use(minimal);
    const auto secret = folder().write_secret("token", "1:new");
    write(fmt::format("{}[retention]\nruns_days = 7\n[telegram]\ntoken_file = \"{}\"\n[log]\nlevel = \"debug\"\n",
                      minimal, secret.string()));

    EXPECT_TRUE(config.read_again(ConfigInUse::Phase::running));

    EXPECT_EQ(config.get().retention.runs_days, 7U);
    EXPECT_EQ(config.get().telegram.token.reveal(), "1:new");
    EXPECT_EQ(config.get().telegram.mode, TelegramMode::send);
    EXPECT_EQ(config.get().log.level, "debug");
    EXPECT_EQ(counters().reloads_done, 1U);
    EXPECT_EQ(counters().reloads_refused, 0U);
    EXPECT_GT(counters().read_at, 0);
}

TEST_F(Reload, SeesASecretThatHasChangedInItsFile) {
    const auto secret = folder().write_secret("token", "1:old");
    ConfigInUse config = in_use(fmt::format("{}[telegram]\ntoken_file = \"{}\"\n", minimal, secret.string()));
    const Config before = config.get();
    (void)folder().write_secret("token", "1:new");

    EXPECT_TRUE(config.read_again(ConfigInUse::Phase::running));

    EXPECT_THAT(change_between(before, config.get()).sections, ElementsAre("[telegram]"));
}

TEST_F(Reload, ChangesNothingIfAnyPartOfTheFileHasAFault) {
    ConfigInUse config = in_use(minimal);
    for (const std::string fault : {"[retention]\nruns_days = 7\n[log]\nlevel = \"noise\"\n", "[log\n", "",
                                    "[telegram]\ntoken_file = \"/nonexistent\"\n[retention]\nruns_days = 7\n"}) {
        write(fault.empty() ? "" : minimal + fault);

        EXPECT_FALSE(config.read_again(ConfigInUse::Phase::running)) << fault;

        EXPECT_EQ(config.get().retention.runs_days, 0U) << fault;
        EXPECT_TRUE(counters().is_refused);
    }
    EXPECT_EQ(counters().reloads_refused, 4U);

    std::filesystem::remove(folder().path() / "c.toml");
    EXPECT_FALSE(config.read_again(ConfigInUse::Phase::running));
    write(minimal);
    EXPECT_TRUE(config.read_again(ConfigInUse::Phase::running));
    EXPECT_FALSE(counters().is_refused);
}

TEST_F(Reload, KeepsWhatOnlyARestartChangesAndTakesTheRest) {
    ConfigInUse config = in_use(minimal);
    const std::string changed =
        "[postgres]\nuri = \"dbname=y\"\nappliers = 3\n[intake]\nbind = [\"ipc:///tmp/other\"]\n"
        "[metrics]\nlisten = \"\"\n[retention]\nruns_days = 7\n";
    write(changed);

    EXPECT_TRUE(config.read_again(ConfigInUse::Phase::running));

    EXPECT_EQ(config.get().postgres.uri, "dbname=x");
    EXPECT_EQ(config.get().postgres.appliers, 2U);
    EXPECT_EQ(config.get().intake.bind, std::vector<std::string>{"ipc:///run/runledger/daemon.sock"});
    EXPECT_EQ(config.get().metrics.listen, "127.0.0.1:9464");
    EXPECT_EQ(config.get().retention.runs_days, 7U);
    EXPECT_EQ(counters().keys_for_restart, 5U) << "bind, uri, direct_uri, appliers, listen";
    EXPECT_THAT(change_between(config.get(), load_config(folder().path() / "c.toml")).keys_for_restart,
                ElementsAre("[intake] bind", "[postgres] uri", "[postgres] direct_uri", "[postgres] appliers",
                            "[metrics] listen"));

    write(minimal);
    EXPECT_TRUE(config.read_again(ConfigInUse::Phase::running));
    EXPECT_EQ(counters().keys_for_restart, 0U) << "the file says again what is in use";
}

TEST_F(Reload, TakesAnotherDatabaseBeforeAnyStageIsMade) {
    ConfigInUse config = in_use(minimal);
    write("[postgres]\nuri = \"dbname=y\"\nappliers = 3\n[metrics]\nlisten = \"\"\n");

    EXPECT_TRUE(config.read_again(ConfigInUse::Phase::starting));

    EXPECT_EQ(config.get().postgres.uri, "dbname=y");
    EXPECT_EQ(config.get().postgres.appliers, 3U);
    EXPECT_EQ(config.get().metrics.listen, "127.0.0.1:9464") << "it listens already";
    EXPECT_EQ(counters().keys_for_restart, 1U);
}

// The page is made with the listener, and reads where [postgres] uri led then.
TEST_F(Reload, NamesThePagesDatabaseBeforeAnyStageIsMade) {
    const std::string page =
        fmt::format("[page]\ntoken_file = \"{}\"\n", folder().write_secret("token", "a token of the page").string());
    ConfigInUse config = in_use(minimal + page);
    write("[postgres]\nuri = \"dbname=y\"\n" + page);

    EXPECT_TRUE(config.read_again(ConfigInUse::Phase::starting));

    EXPECT_EQ(config.get().postgres.uri, "dbname=y");
    EXPECT_EQ(config.get().page.uri, "dbname=x");
    EXPECT_EQ(counters().keys_for_restart, 1U) << "[page] uri";
}

TEST_F(Reload, SaysNothingOfAFileThatIsAsItWas) {
    const Config one = load_config(folder().write_file("one.toml", minimal));
    const Config same = load_config(folder().write_file("same.toml", "# A comment.\n" + std::string(minimal)));

    EXPECT_THAT(change_between(one, same).sections, IsEmpty());
    EXPECT_THAT(change_between(one, same).keys_for_restart, IsEmpty());
}

}  // namespace
}  // namespace runledger
