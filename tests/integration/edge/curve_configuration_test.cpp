// What `nginx -t` says of runledger_curve, and of endpoints that need it.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/integration/edge/edge_fixture.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

// zmq_curve(7)'s examples: the server's secret key, and the client's public one.
constexpr std::string_view secret_key = "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6";
constexpr std::string_view public_key = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";

class CurveConfiguration : public EdgeFixture {
protected:
    CurveConfiguration() {
        write_key("edge.secret", "edge " + std::string{secret_key} + "\n", fs::perms{0600});
        write_key("group.secret", "edge " + std::string{secret_key} + "\n", fs::perms{0640});
        write_key("ledger.public", "ledger " + std::string{public_key} + "\n", fs::perms{0644});
    }

    void write_key(std::string_view name, const std::string& text, fs::perms mode) {
        fs::permissions(folder().write_file(name, text), mode);
    }
    [[nodiscard]] Finished check(const std::string& endpoints, const std::string& http) {
        server_.emplace(folder(), standard_conf({.daemon_endpoints = endpoints, .http_extra = http}),
                        NginxOptions{.name = "checked"});
        return server_->check_conf();
    }
    [[nodiscard]] static std::string curve(std::string_view secret, std::string_view server) {
        return "runledger_curve secret_key=@TEST_FOLDER@/" + std::string{secret} + " server_key=@TEST_FOLDER@/" +
               std::string{server} + ";";
    }

private:
    std::optional<NginxServer> server_;
};

TEST_F(CurveConfiguration, IsAcceptedWithBothFiles) {
    for (const auto* secret : {"edge.secret", "group.secret"}) {
        const Finished result = check("ipc:///x tcp://10.0.0.5:9463", curve(secret, "ledger.public"));

        EXPECT_TRUE(result.status.clean()) << result.output;
    }
}

TEST_F(CurveConfiguration, IsNeededWhereAnEndpointLeavesTheHost) {
    EXPECT_TRUE(check("ipc:///x tcp://127.0.0.1:9463 tcp://[::1]:9463", "").status.clean());

    const Finished result = check("ipc:///x tcp://10.0.0.5:9463", "");

    EXPECT_FALSE(result.status.clean());
    EXPECT_NE(result.output.find("runledger_daemon: \"tcp://10.0.0.5:9463\" leaves this host, and needs "
                                 "runledger_curve at http level"),
              std::string::npos)
        << result.output;
}

// Those that are not in the table that operators see, mistakes_test.cpp.
TEST_F(CurveConfiguration, RefusesFurtherMistakesAndNamesNoKey) {
    struct Mistake {
        std::string_view name;
        std::string http;
        std::string_view sentence;
    };
    const std::string good = curve("edge.secret", "ledger.public");
    const std::vector<Mistake> mistakes{
        {"folder", curve("", "ledger.public"), "it is not a file"},
        {"twice", good + good, "runledger_curve is given twice"},
        {"no path", "runledger_curve secret_key= server_key=b;", "\"secret_key=\" is neither"},
    };
    for (const Mistake& mistake : mistakes) {
        SCOPED_TRACE(mistake.name);

        const Finished result = check("tcp://10.0.0.5:9463", mistake.http);

        EXPECT_FALSE(result.status.clean());
        EXPECT_NE(result.output.find("[emerg]"), std::string::npos) << result.output;
        EXPECT_NE(result.output.find(mistake.sentence), std::string::npos) << result.output;
        EXPECT_EQ(result.output.find(secret_key), std::string::npos) << result.output;
    }
}

}  // namespace
}  // namespace runledger::test
