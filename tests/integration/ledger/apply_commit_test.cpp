// What counts as a commit: neither a COMMIT that ends in a warning, nor a copy of a batch that is not replicated, nor
// anything on a connection that libpqxx would have opened anew behind our back.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>

#include "daemon/database/libpqxx.hpp"
#include "daemon/database/transaction.hpp"
#include "tests/integration/ledger/appliers_fixture.hpp"
#include "tests/support/eventually.hpp"

namespace runledger {

struct TestedConnection {
    [[nodiscard]] static pqxx::connection& of(Database& database) { return database.connection(); }
};

namespace test {
namespace {

// A synchronous standby that never comes: each COMMIT waits for it, until it does or the setting goes.
class Unreplicated : public Ledger {
protected:
    ~Unreplicated() override { let_commits_go(); }

    void make_commits_wait() {
        // What the test itself does need not wait.
        execute("SET synchronous_commit = local");
        execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
        execute("SELECT pg_reload_conf()");
        wait_until_commits_wait();
    }

    void let_commits_go() {
        execute("ALTER SYSTEM RESET synchronous_standby_names");
        execute("SELECT pg_reload_conf()");
    }

    void execute(const std::string& statement) { pqxx::nontransaction(db()).exec(statement); }

    // The setting is in force once the checkpointer has read it, in its own time: commits are tried until one waits.
    void wait_until_commits_wait() {
        const auto probe = another_connection();
        const int pid = probe->backendpid();
        std::future<void> commit;
        eventually("a commit waits for the standby", [&] {
            if (!commit.valid() || commit.wait_for(std::chrono::seconds{0}) == std::future_status::ready) {
                commit = std::async(std::launch::async, [&] {
                    pqxx::nontransaction(*probe).exec("SELECT pg_logical_emit_message(true, 'probe', '')");
                });
            }
            return value(fmt::format("SELECT count(*) FROM pg_stat_activity WHERE pid = {} AND wait_event = 'SyncRep'",
                                     pid)) == "1";
        });
        execute(fmt::format("SELECT pg_cancel_backend({})", pid));
        commit.get();
    }

    void eventually_waits_for_the_standby() {
        eventually("a COMMIT waits for the standby", [&] {
            return value(
                       "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runledgerd apply' "
                       "AND wait_event = 'SyncRep'") == "1";
        });
    }

    // As an operator does who is tired of waiting: "canceling wait for synchronous replication due to user request".
    void cancel_the_wait() {
        EXPECT_EQ(value("SELECT bool_and(pg_cancel_backend(pid)) FROM pg_stat_activity "
                        "WHERE application_name = 'runledgerd apply' AND wait_event = 'SyncRep'"),
                  "t");
    }
};

TEST_F(Unreplicated, IsNotAckedThoughItsCommitEndedWithAWarning) {
    const MadeBatch batch({segment(1), 0}, {{event_text({.status = "success"}), 5}});
    make_commits_wait();
    Appliers appliers(daemon_uri(), 1);

    appliers.offer(batch);
    eventually_waits_for_the_standby();
    EXPECT_TRUE(appliers.committed().empty());
    cancel_the_wait();
    eventually("the turn has failed", [&] { return appliers.counters().turns_failed == 1; });

    // It is committed locally, and so a copy from here on: one that waits just as the first did.
    EXPECT_EQ(count("webhook_events"), 1);
    eventually_waits_for_the_standby();
    EXPECT_TRUE(appliers.committed().empty());

    let_commits_go();
    appliers.wait_for(1);
    EXPECT_EQ(appliers.counters().batches_applied, 0U);
    EXPECT_EQ(appliers.counters().batch_copies, 1U);
    EXPECT_EQ(value("SELECT event_count FROM runledger.runs"), "1");
}

// client_min_messages = error would hide the warning.
TEST_F(Unreplicated, IsNotAckedWhereTheServerSendsErrorsOnly) {
    const MadeBatch batch({segment(1), 0}, {{event_text({.status = "success"}), 5}});
    make_commits_wait();
    Appliers appliers(direct_daemon_uri() + "&options=-cclient_min_messages%3Derror", 1);

    appliers.offer(batch);
    eventually_waits_for_the_standby();
    cancel_the_wait();

    eventually("the turn has failed", [&] { return appliers.counters().turns_failed == 1; });
    EXPECT_TRUE(appliers.committed().empty());
    let_commits_go();
    appliers.wait_for(1);
}

TEST_F(Unreplicated, CopyInAnotherDaemonIsNotAckedEither) {
    const MadeBatch batch({segment(1), 0}, {{event_text({.status = "success"}), 5}});
    apply({&batch});
    make_commits_wait();
    Appliers appliers(daemon_uri(), 1);

    appliers.offer(batch);
    eventually_waits_for_the_standby();

    EXPECT_TRUE(appliers.committed().empty());
    let_commits_go();
    appliers.wait_for(1);
    EXPECT_EQ(appliers.counters().batch_copies, 1U);
}

TEST_F(Unreplicated, LateCopyOfARetiredSegmentIsNotAckedEither) {
    const MadeBatch batch({segment(1), 0}, {{event_text({.status = "success"}), 5}});
    apply({&batch});
    {
        pqxx::work work(db());
        ASSERT_TRUE(write_retirement(work, {.segment = segment(1), .batch_count = 1}));
        work.commit();
    }
    make_commits_wait();
    Appliers appliers(daemon_uri(), 1);

    appliers.offer(batch);
    eventually_waits_for_the_standby();

    EXPECT_TRUE(appliers.committed().empty());
    let_commits_go();
    appliers.wait_for(1);
}

class Connection : public Ledger {};

TEST_F(Connection, IsNeverOpenedAnewInSilence) {
    Database database(uri(), "test");
    const auto end_session = [&] {
        EXPECT_EQ(value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                        "WHERE application_name = 'runledgerd test' AND datname = current_database()"),
                  "1");
        eventually("the session is gone", [&] {
            return value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'runledgerd test'") == "0";
        });
    };
    {
        pqxx::work work(TestedConnection::of(database));
        work.exec("CREATE TABLE public.half_written (n integer)");
        end_session();
        EXPECT_THROW(work.exec("CREATE TABLE public.other_half (n integer)"), pqxx::failure);
    }
    EXPECT_THROW(pqxx::work(TestedConnection::of(database)).exec("CREATE TABLE public.other_half (n integer)"),
                 pqxx::failure);

    EXPECT_EQ(value("SELECT count(*) FROM pg_class WHERE relname IN ('half_written', 'other_half')"), "0");
    database.disconnect();
    pqxx::work work(TestedConnection::of(database));
    EXPECT_EQ(libpqxx::run1(work, "SELECT 1")[0].as<int>(), 1);
}

TEST_F(Connection, BoundsEachTransactionAndLeavesNothingInTheSession) {
    Database database(uri(), "apply");
    const std::string settings =
        "SELECT concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'), "
        "current_setting('synchronous_commit'), current_setting('transaction_isolation'))";
    std::string inside;
    {
        pqxx::work work(TestedConnection::of(database));
        work.exec("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE");
        work.commit();
    }
    {
        pqxx::work work(TestedConnection::of(database));
        begin_durably(work, {.statement_timeout = std::chrono::seconds{7}, .lock_timeout = std::chrono::seconds{3}});
        inside = libpqxx::run1(work, settings)[0].as<std::string>();
        work.commit();
    }
    pqxx::work work(TestedConnection::of(database));

    EXPECT_EQ(inside, "7s 3s on read committed");
    EXPECT_EQ(libpqxx::run1(work, settings)[0].as<std::string>(), "0 0 on serializable");
}

// Defaults that change what a statement means, or the text of its values.
TEST_F(Connection, MeansTheSameWhateverTheDefaultsAre) {
    Database database(direct_daemon_uri() +
                          "&options=-cdatestyle%3DSQL,DMY%20-carray_nulls%3Doff%20"
                          "-ctransform_null_equals%3Don%20-cextra_float_digits%3D-15%20"
                          "-cbytea_output%3Descape%20-cstandard_conforming_strings%3Doff%20"
                          "-cdefault_transaction_read_only%3Don%20-cdefault_transaction_deferrable%3Don",
                      "apply");
    Transaction work(database, {});
    const std::string said = R"(SELECT concat_ws('|', array_position('{"a",NULL}'::text[], NULL), NULL = NULL,
        '2026-02-01'::date, 0.1::float8 + 0.2::float8, '\x00'::bytea, 'acb' ~ 'a\.b',
        current_setting('transaction_read_only')))";

    EXPECT_EQ(work.run1(said)[0].as<std::string>(), R"(2|2026-02-01|0.30000000000000004|\x00|f|off)");
}

// As by idle_session_timeout, a pooler's client_idle_timeout or an operator.
TEST_F(Connection, IsMadeAnewForATransactionIfTheServerHasEndedIt) {
    Database database(direct_daemon_uri(), "test");
    {
        Transaction work(database, {});
        work.run("SELECT 1");
        database.commit(work);
    }
    ASSERT_EQ(value("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND application_name = 'runledgerd test'"),
              "1");
    eventually("the session is gone", [&] {
        return value(
                   "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = "
                   "'runledgerd test'") == "0";
    });

    Transaction work(database, {});

    EXPECT_EQ(work.run1("SELECT 1")[0].as<int>(), 1);
}

TEST_F(Connection, CommitsWhateverElseTheServerSays) {
    {
        pqxx::work work(db());
        work.exec(
            "CREATE TABLE public.noisy (n integer); CREATE FUNCTION public.speak() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE WARNING 'stored %', NEW.n; RETURN NULL; END $$; CREATE CONSTRAINT TRIGGER noisy AFTER "
            "INSERT ON public.noisy DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.speak()");
        work.commit();
    }
    for (const std::string options : {"-clog_duration%3Don%20-cclient_min_messages%3Dlog",
                                      "-cclient_min_messages%3Ddebug5", "-cclient_min_messages%3Dnotice"}) {
        Database database(uri() + "&options=" + options, "apply");
        for (int n = 0; n < 2; ++n) {
            Transaction work(database, {});
            work.run("INSERT INTO public.noisy VALUES ($1)", n);
            EXPECT_NO_THROW(database.commit(work)) << options;
        }
    }

    EXPECT_EQ(value("SELECT count(*) FROM public.noisy"), "6");
}

TEST_F(Connection, IsRefusedRowsRatherThanShownFewer) {
    {
        pqxx::work work(db());
        work.exec(
            "CREATE TABLE public.guarded (n integer); ALTER TABLE public.guarded ENABLE ROW LEVEL SECURITY; "
            "CREATE ROLE guarded_reader; GRANT SELECT ON public.guarded TO guarded_reader");
        work.commit();
    }
    Database database(uri(), "settle");
    Transaction work(database, {});
    work.run("SET LOCAL ROLE guarded_reader");

    EXPECT_THROW(work.run("SELECT FROM public.guarded"), pqxx::insufficient_privilege);
}

TEST(Failures, OfTheServerOrTheNetworkAreTriedAgainAndThoseOfAnEventAreNot) {
    EXPECT_EQ(classify(pqxx::broken_connection("gone")), Failure::try_again);
    EXPECT_EQ(classify(CommitDoubtful("COMMIT")), Failure::try_again);
    EXPECT_EQ(classify(std::system_error(std::make_error_code(std::errc::io_error))), Failure::try_again);
    EXPECT_EQ(classify(pqxx::sql_error("no room", "", "53100")), Failure::try_again);
    EXPECT_EQ(classify(pqxx::sql_error("a standby", "", "25006")), Failure::try_again);
    EXPECT_EQ(classify(pqxx::sql_error("idle in a transaction", "", "25P03")), Failure::try_again);
    EXPECT_EQ(classify(pqxx::sql_error("idle", "", "57P05")), Failure::try_again);
    EXPECT_EQ(classify(pqxx::sql_error("RAISE", "", "P0001")), Failure::refused);
    EXPECT_EQ(classify(pqxx::insufficient_privilege("no right")), Failure::refused);
    EXPECT_EQ(classify(pqxx::sql_error("cancelled", "", "57014")), Failure::refused);
    EXPECT_EQ(classify(pqxx::sql_error("no date", "", "22007")), Failure::poison);
    EXPECT_EQ(classify(std::out_of_range("at")), Failure::poison);
    EXPECT_EQ(classify(std::bad_alloc()), Failure::poison);
    EXPECT_EQ(classify(pqxx::unexpected_rows("two")), Failure::poison);
}

// As of a daemon that was suspended: what it was at has no part in it.
TEST_F(Connection, ThatTheServerEndsBecauseItIsIdleIsLost) {
    for (const char* setting : {"idle_in_transaction_session_timeout", "idle_session_timeout"}) {
        Database database(direct_daemon_uri(), "test");
        pqxx::connection& connection = TestedConnection::of(database);
        pqxx::nontransaction session(connection);
        session.exec(fmt::format("SET {} = '100ms'", setting));
        if (std::string_view(setting).starts_with("idle_in")) {
            session.exec("BEGIN");
        }
        eventually("the session is gone", [&] {
            return value(
                       "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                       "application_name = 'runledgerd test'") == "0";
        });
        try {
            session.exec("SELECT 1");
            ADD_FAILURE() << setting;
        } catch (const std::exception& error) {
            EXPECT_TRUE(is_outage(error)) << setting << ": " << error.what();
            EXPECT_EQ(classify(error), Failure::try_again) << setting << ": " << error.what();
        }
    }
}

TEST(Failures, OfASessionThatTheServerEndedAreOutages) {
    for (const char* sqlstate : {"08006", "25006", "25P03", "57P01", "57P02", "57P03", "57P05"}) {
        EXPECT_TRUE(is_outage(pqxx::sql_error("ended", "", sqlstate))) << sqlstate;
    }
    for (const char* sqlstate : {"25001", "53100", "57014", "57P04", "P0001"}) {
        EXPECT_FALSE(is_outage(pqxx::sql_error("refused", "", sqlstate))) << sqlstate;
    }
}

// A server that takes a connection and says nothing, until it goes.
TEST(Outage, IsNotAnnouncedAgainByAnAttemptThatBeganInIt) {
    const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), size), 0);
    ASSERT_EQ(::listen(listener, 8), 0);
    ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
    const std::string uri =
        fmt::format("postgresql://127.0.0.1:{}/none?sslmode=disable&gssencmode=disable", ntohs(address.sin_port));
    const auto outages = Outages::of(uri);
    outages->begin(outages->count(), pqxx::broken_connection("the server goes"));
    ASSERT_TRUE(outages->is_away());
    Database database(uri, "test");
    const auto fail = [&database] {
        try {
            (void)TestedConnection::of(database);
            return false;
        } catch (const std::exception& error) {
            return database.give_up(error);
        }
    };

    auto attempt = std::async(std::launch::async, fail);
    const int held = ::accept(listener, nullptr, nullptr);
    outages->end();  // Another connection's statement has succeeded.
    ::close(listener);
    ::close(held);

    EXPECT_TRUE(attempt.get());
    EXPECT_FALSE(outages->is_away());
    EXPECT_EQ(outages->count(), 1);

    // An attempt that begins afterwards does announce one.
    EXPECT_TRUE(fail());
    EXPECT_TRUE(outages->is_away());
    EXPECT_EQ(outages->count(), 2);
}

TEST_F(Connection, SaysWhoItIsAndKeepsTheUrisOwnWords) {
    const auto name_of = [](Database& database) {
        pqxx::work work(TestedConnection::of(database));
        return libpqxx::run1(work, "SHOW application_name")[0].as<std::string>();
    };
    Database plain(uri(), "settle");
    Database named(uri() + "&application_name=studio%20%27a%27", "settle");

    EXPECT_EQ(name_of(plain), "runledgerd settle");
    EXPECT_EQ(name_of(named), "studio 'a' settle");
}

TEST_F(Connection, DoesNotTellAPasswordThatMakesItsUriUnreadable) {
    Database database("postgresql://someone:sec%zzret@localhost/runledger", "settle");
    try {
        (void)TestedConnection::of(database);
        FAIL() << "the URI is none";
    } catch (const UnreadableUri& error) {
        EXPECT_EQ(std::string(error.what()).find("zzret"), std::string::npos) << error.what();
        EXPECT_NE(std::string(error.what()).find("connection string"), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace test
}  // namespace runledger
