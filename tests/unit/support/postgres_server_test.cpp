#include "tests/support/postgres_server.hpp"

#include <gmock/gmock.h>
#include <libpq-fe.h>
#include <poll.h>

#include "daemon/database/libpqxx.hpp"

namespace runledger::test {
namespace {

class PrivatePostgres : public testing::Test {
protected:
    static void SetUpTestSuite() { server_ = std::make_unique<PostgresServer>(); }
    static void TearDownTestSuite() { server_.reset(); }

    void SetUp() override {
        if (!server_->running()) {
            server_->start();
        }
        execute("DROP TABLE IF EXISTS notes; CREATE TABLE notes (word text)");
    }

    static void execute(const std::string& sql) {
        const auto connection = server_->connect();
        pqxx::nontransaction(*connection).exec(sql);
    }

    static int notes() {
        const auto connection = server_->connect();
        pqxx::nontransaction work(*connection);
        return libpqxx::run1(work, "SELECT count(*) FROM notes")[0].as<int>();
    }

    static std::unique_ptr<PostgresServer> server_;
};

std::unique_ptr<PostgresServer> PrivatePostgres::server_;

TEST_F(PrivatePostgres, KeepsWhatWasCommittedAndForgetsTheRestWhenItIsKilled) {
    execute("INSERT INTO notes VALUES ('committed')");
    const auto connection = server_->connect();
    pqxx::work unfinished(*connection);
    unfinished.exec("INSERT INTO notes VALUES ('uncommitted')");

    server_->crash_and_recover();

    EXPECT_EQ(notes(), 1);
    EXPECT_THROW(unfinished.exec("SELECT 1"), pqxx::broken_connection);
    EXPECT_THAT(server_->log_text(), testing::HasSubstr("automatic recovery"));
}

TEST_F(PrivatePostgres, RefusesConnectionsWhileItIsStopped) {
    for (const StopMode mode : {StopMode::fast, StopMode::immediate}) {
        server_->stop(mode);

        EXPECT_FALSE(server_->running());
        EXPECT_THROW(static_cast<void>(server_->connect()), pqxx::broken_connection);

        server_->start();
        EXPECT_EQ(notes(), 0);
    }
}

TEST_F(PrivatePostgres, LeavesNoProcessBehindWhenItIsKilled) {
    const auto connection = server_->connect();
    pqxx::nontransaction work(*connection);
    const auto backend = libpqxx::run1(work, "SELECT pg_backend_pid()")[0].as<pid_t>();
    const std::vector<ProcessId> before = children_of(server_->postmaster_pid());
    ASSERT_TRUE(std::any_of(before.begin(), before.end(), [&](const ProcessId& id) { return id.pid == backend; }));

    server_->kill_hard();

    EXPECT_FALSE(server_->running());
    EXPECT_TRUE(std::none_of(before.begin(), before.end(), is_alive));
}

TEST_F(PrivatePostgres, AnswersNothingWhileItIsFrozen) {
    const std::unique_ptr<PGconn, decltype(&PQfinish)> connection(PQconnectdb(server_->uri().c_str()), &PQfinish);
    ASSERT_EQ(PQstatus(connection.get()), CONNECTION_OK);
    const auto answer_comes = [&](int patience_ms) {
        pollfd readable{.fd = PQsocket(connection.get()), .events = POLLIN, .revents = 0};
        return ::poll(&readable, 1, patience_ms) == 1;
    };
    server_->freeze();

    ASSERT_EQ(PQsendQuery(connection.get(), "SELECT 1"), 1);

    EXPECT_FALSE(answer_comes(200));
    server_->thaw();
    EXPECT_TRUE(answer_comes(10'000));
}

TEST_F(PrivatePostgres, TakesConnectionsByTcpAndToNewDatabases) {
    const std::string uri = server_->create_database("another one");
    const auto by_tcp = connect_to(server_->tcp_uri());

    EXPECT_STREQ(by_tcp->dbname(), "runledger");
    {
        const auto connection = server_->connect("another one");
        pqxx::nontransaction work(*connection);
        EXPECT_EQ(libpqxx::run1(work, "SELECT current_setting('fsync')")[0].as<std::string>(), "on");
    }
    server_->drop_database("another one");
    EXPECT_THROW(static_cast<void>(server_->connect("another one")), pqxx::broken_connection);
}

}  // namespace
}  // namespace runledger::test
