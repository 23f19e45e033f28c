// The masks of links, in the log's C++ and in the database: the same, and neither lets a secret through.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <array>
#include <random>
#include <string>
#include <string_view>

#include "daemon/base/masked_links.hpp"
#include "daemon/database/libpqxx.hpp"
#include "tests/integration/ledger/ledger_fixture.hpp"
#include "tests/support/dice.hpp"

namespace runledger::test {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Mask {
    std::string_view name;
    std::string_view text;
    std::string_view masked;
};

constexpr std::array masks{
    Mask{"a presigned link", "https://h/x.png?X-Amz-Signature=0&a=b", "https://h/x.png?…"},
    Mask{"a fragment", "see https://h/x#f now", "see https://h/x?… now"},
    Mask{"a user and a password", "https://u:p@h/x", "https://…@h/x"},
    Mask{"nothing to hide", "https://h/x.png and http://k", "https://h/x.png and http://k"},
    Mask{"two links", "HTTPS://h/x?y http://k?z", "HTTPS://h/x?… http://k?…"},
    Mask{"JSON", R"({"url": "https://h/x?a=1\u0026Signature=s", "n": 1})", R"({"url": "https://h/x?…", "n": 1})"},
    Mask{"escaped slashes and ?", R"("https:\/\/u:p@h\/x\u003fs")", R"("https:\/\/…@h\/x?…")"},
    Mask{"JSON within JSON", R"({"s": "{\"url\": \"https://h/x?a\\u0026sig=s\"}"})",
         R"({"s": "{\"url\": \"https://h/x?…\"}"})"},
    Mask{"a link that lost its beginning", "(1, \"&X-Amz-Signature=s&x=1\")", "(1, \"&X-Amz-Signature=…&x=1\")"},
    Mask{"a link within angle brackets", "<https://h?k>", "<https://h?…>"},
    Mask{"times and key=value", "2026-01-01T00:00:00Z error=\"a: b\" x=1", "2026-01-01T00:00:00Z error=\"a: b\" x=1"},
    Mask{"nothing", "", ""},
};

std::string in_database(pqxx::connection& db, const std::string& text) {
    pqxx::work work(db);
    return libpqxx::run1(work, "SELECT runledger.masked_links($1::text)", text)[0].as<std::string>();
}

TEST_F(Ledger, MasksLinksInLogsAndInTheDatabaseAlike) {
    for (const auto& [name, text, masked] : masks) {
        EXPECT_EQ(masked_links(text), masked) << name;
        EXPECT_EQ(in_database(db(), std::string(text)), masked) << name;
    }
}

// Whatever error holds one: a receiver's answer, what PostgreSQL says of a row.
TEST_F(Ledger, ShowsNoQueryOfALinkInAnyView) {
    const std::string error = "'HTTP 500: see https://h/x?sig=unmasked'";
    pqxx::nontransaction(db()).exec(fmt::format(
        "INSERT INTO runledger.generations (metadata) VALUES ('{{\"run_id\": \"r\"}}');"
        "INSERT INTO runledger.runs (run_id, terminal_status, finished_at, finished_boot_id, finished_boottime_us, "
        "finished_redelivered, finished_digest, latest_at, latest_boot_id, latest_boottime_us, latest_redelivered, "
        "latest_digest, latest_status, first_received_at, event_count) SELECT 'r', 'success', now(), boot, 50000000, "
        "false, 1, now(), boot, 50000000, false, 1, 'success', now(), 1 FROM gen_random_uuid() AS boot;"
        "INSERT INTO runledger.settle_queue (run_id, attempts, last_error) VALUES ('r', 3, {0});"
        "INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, channel, payload, state, "
        "last_error, webhook_id, webhook_host) SELECT id, 'r', 'settlement', state, 'webhook', '{{}}', state, {0}, "
        "'msg_1', '[webhooks] url' FROM runledger.generations, unnest('{{dead,skipped,uncertain}}'::text[]) AS state;"
        "INSERT INTO runledger.quarantine (scope, reason, segment_id, batch_number, event_index, edge, content) "
        "VALUES ('event', {0}, gen_random_uuid(), 1, 0, 'edge-1', '')",
        error));

    pqxx::work work(db());
    std::size_t shown = 0;
    for (const auto& row : libpqxx::run(work, "SELECT viewname FROM pg_views WHERE schemaname = 'runledger'")) {
        const auto view = row[0].as<std::string>();
        for (const auto& line : libpqxx::run(work, fmt::format("SELECT v::text FROM runledger.{} AS v", view))) {
            const auto text = line[0].as<std::string>();
            EXPECT_EQ(text.find("unmasked"), std::string::npos) << view << ": " << text;
            shown += text.find("https://h/x?") != std::string::npos ? 1 : 0;
        }
    }
    EXPECT_GE(shown, 6U) << "each error is in a view";
}

TEST_F(Ledger, NeverShowsAQueryHoweverItIsWrittenAndQuoted) {
    constexpr std::array<std::string_view, 18> before{
        "https://h/x", R"(https:\/\/h\/x)", "s3://b",          "a ", "\"",  "'", "\\", "\\\\", "u003f", "\n", "<",
        "://",         "https://u:p@",      R"({\"url\": \")", "é",  "=1,", "@", ":"};
    constexpr std::array<std::string_view, 4> starts{"?", "#", R"(\u003f)", R"(\\u0023)"};
    constexpr std::array<std::string_view, 8> within{"a=b&", R"(\u0026sig=)", "%2F", "'", "(", "/", R"(\\u0026)", "?"};
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Dice dice(seed);
    for (int round = 0; round < 2000; ++round) {
        std::string text;
        for (int i = dice.between(0, 5); i > 0; --i) {
            text += dice.pick(before);
        }
        text += " https://h/x";
        text += dice.pick(starts);
        for (int i = dice.between(0, 4); i > 0; --i) {
            text += dice.pick(within);
        }
        text += "SECRET\" after";

        const std::string masked = masked_links(text);

        ASSERT_THAT(masked, Not(HasSubstr("SECRET"))) << text;
        ASSERT_THAT(masked, HasSubstr("\" after")) << text;
        ASSERT_EQ(in_database(db(), text), masked) << text;
    }
}

TEST_F(Ledger, MasksLinksWithinJsonAndLeavesItJson) {
    EXPECT_EQ(value(R"(SELECT runledger.masked_links('{"a": ["https://h/x?y=\\\"z", {"https://k?b": null}]}'::jsonb))"),
              R"({"a": ["https://h/x?…\\\"z", {"https://k?…": null}]})");
    EXPECT_EQ(value("SELECT runledger.masked_url('https://u:p@h/x.png?X-Amz-Signature=0#f')"), "https://…@h/x.png?…");
    EXPECT_EQ(value("SELECT runledger.masked_url('https://h/x.png')"), "https://h/x.png");
    EXPECT_EQ(value("SELECT runledger.masked_url(NULL)"), "NULL");
}

TEST_F(Ledger, MasksAMegabyteOfAnythingInTimeThatGrowsWithItsLength) {
    // Within statement_timeout: a mask that took the square of the length would take hours.
    for (const std::string_view piece :
         {"a", "https://", "https://h/x?a=b ", "sig=a", R"(a:\/\/)", "\\", "https://a@", "x-amz-"}) {
        std::string text;
        while (text.size() < 1'000'000) {
            text += piece;
        }
        pqxx::work work(db());
        work.exec("SET LOCAL statement_timeout = '20s'");
        const auto masked = libpqxx::run1(work, "SELECT runledger.masked_links($1::text)", text)[0].as<std::string>();
        EXPECT_TRUE(masked == masked_links(text)) << piece;  // Not EXPECT_EQ: it would print both.
    }
}

}  // namespace
}  // namespace runledger::test
