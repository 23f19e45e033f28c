// How the tool's commands name a generation of a table that was adopted with a key of its own: by that key, and never
// by the ledger's number alone.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <rapidjson/document.h>

#include <map>
#include <set>
#include <sstream>

#include "daemon/database/libpqxx.hpp"
#include "tests/integration/dba/dba_fixture.hpp"

namespace runledger::test {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

constexpr int done = 0;
constexpr int answer_is_no = 3;

// The ledger's numbers begin here, so that nothing else in any output looks like one.
constexpr std::int64_t first_number = 731'045'289'600;
constexpr std::string_view beginning = "7310452896";

struct Named {
    std::string key;
    std::string number;
    [[nodiscard]] std::string name() const { return fmt::format("{} ({} in the ledger)", key, number); }
};

enum class Shows : std::uint8_t {
    nothing,  // It has no generation to name.
    key,      // A file of the accounts has the key in the number's place.
    name,     // For people: "KEY (NUMBER in the ledger)"; in JSON the number with application_id beside it.
};

struct Call {
    std::vector<std::string> words;
    Shows shows;
};

void remove_all(std::string& text, const std::string& part) {
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at)) {
        text.erase(at, part.size());
    }
}

class GenerationNames : public Dba {
protected:
    void SetUp() override {
        run("CREATE TABLE public.generations (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), "
            "metadata jsonb NOT NULL DEFAULT '{}'); INSERT INTO public.generations DEFAULT VALUES");
        const Finished adopted = tool({"migrate", "--adopt", "--yes"});
        ASSERT_TRUE(adopted.status.clean()) << adopted.output;
        run(fmt::format("ALTER SEQUENCE runledger.generations_ledger_id_seq RESTART WITH {}", first_number));
        for (const std::string run_id : {"priced", "edited", "broken"}) {
            run(
                fmt::format("INSERT INTO public.generations (metadata) VALUES ('{{\"run_id\": \"{}\", \"gpu\": "
                            "\"A10G\", \"telegramChatId\": 42}}')",
                            run_id));
            end_run(run_id, run_id == "broken" ? "failed" : "success",
                    run_id == "broken" ? "now()" : "timestamptz '2026-01-10 12:00Z'");
            generations_[run_id] = {
                value("SELECT application_id FROM runledger.generations WHERE run_id = '" + run_id + "'"),
                value("SELECT id FROM runledger.generations WHERE run_id = '" + run_id + "'")};
        }
        // Two rows are not as they were settled, one of them because the rate is another one now.
        run("UPDATE runledger.gpu_rates SET usd_per_second = 0.0004 WHERE gpu = 'A10G';"
            "UPDATE runledger.generations SET cost_usd = 1 WHERE run_id = 'edited';"
            "DELETE FROM runledger.settle_queue");
        run("INSERT INTO runledger.webhook_events (segment_id, batch_number, event_index, edge, received_at, boot_id, "
            "boottime_us, redelivered, run_id, event_type, status, body) "
            "SELECT gen_random_uuid(), 0, i, 'edge', timestamptz '2026-01-10 12:00Z', "
            "       '00000000-0000-0000-0000-000000000001', 1 + i * 2000000, false, 'priced', 'run.updated', s, "
            "       format('{\"run_id\": \"priced\", \"status\": \"%s\"}', s) "
            "FROM (VALUES (0, 'running'), (1, 'success')) AS event (i, s)");
    }

    [[nodiscard]] const Named& priced() const { return generations_.at("priced"); }
    [[nodiscard]] const Named& broken() const { return generations_.at("broken"); }

    // What is left of a text if each generation's name is taken out of it.
    [[nodiscard]] std::string without_names(std::string text) const {
        for (const auto& [run_id, generation] : generations_) {
            remove_all(text, generation.name());
        }
        return text;
    }

    // How many of the object's numbers stand beside their key; none may stand without it.
    int named_in(const rapidjson::Value& json) {
        int named = 0;
        if (json.IsArray()) {
            for (const auto& element : json.GetArray()) {
                named += named_in(element);
            }
        }
        if (!json.IsObject()) {
            return named;
        }
        for (const auto& member : json.GetObject()) {
            const std::string text = member.value.IsString()  ? member.value.GetString()
                                     : member.value.IsInt64() ? std::to_string(member.value.GetInt64())
                                                              : "";
            named += text == without_names(text) ? 0 : 1;
            const std::string rest = without_names(text);
            const auto found = std::find_if(generations_.begin(), generations_.end(),
                                            [&](const auto& known) { return known.second.number == rest; });
            if (found != generations_.end()) {
                const auto key = json.FindMember("application_id");
                const bool is_named =
                    key != json.MemberEnd() && key->value.IsString() && key->value.GetString() == found->second.key;
                EXPECT_TRUE(is_named) << member.name.GetString() << " is " << rest << ", without its application_id";
                named += is_named ? 1 : 0;
            } else {
                EXPECT_EQ(rest.find(beginning), std::string::npos) << member.name.GetString() << ": " << text;
            }
            named += named_in(member.value);
        }
        return named;
    }

    void expect_names(const Call& call, const Finished& ended) {
        EXPECT_EQ(without_names(ended.output).find(beginning), std::string::npos) << "a number without its key";
        if (call.shows == Shows::name) {
            EXPECT_NE(without_names(ended.output), ended.output) << "no name";
        } else if (call.shows == Shows::key) {
            EXPECT_THAT(ended.output, HasSubstr(priced().key));
        }
    }
    void expect_names_in_json(const Call& call, const Finished& ended) {
        int named = 0;
        std::istringstream lines(ended.output);
        for (std::string line; std::getline(lines, line);) {
            rapidjson::Document json;
            json.Parse(line.data(), line.size());
            ASSERT_TRUE(json.IsObject()) << line;
            named += named_in(json);
        }
        if (call.shows == Shows::name) {
            EXPECT_GT(named, 0) << "no name";
        } else if (call.shows == Shows::key) {
            EXPECT_THAT(ended.output, HasSubstr(priced().key));
        }
    }

    // The tool's commands, each with the subcommand that it may have.
    [[nodiscard]] std::set<std::string> offered() const {
        std::set<std::string> commands;
        for (const std::string& command : listed(tool({"--help"}).output, "\nSet up")) {
            const std::string help = tool({command, "--help"}).output;
            const auto subcommands = listed(help, "\nSubcommands:");
            for (const std::string& subcommand : subcommands) {
                commands.insert(command + " " + subcommand);
            }
            if (subcommands.empty()) {
                commands.insert(command);
            }
        }
        return commands;
    }

private:
    // The words that begin the lines of a help from that heading on.
    static std::vector<std::string> listed(const std::string& help, std::string_view heading) {
        std::vector<std::string> words;
        const std::size_t begin = help.find(heading);
        const std::size_t end = std::min(help.find("\nExit codes:"), help.size());
        for (std::size_t at = help.find("\n  ", begin); begin != std::string::npos && at < end;
             at = help.find("\n  ", at + 1)) {
            const std::string word = help.substr(at + 3, help.find_first_of(" \n", at + 3) - at - 3);
            if (!word.empty() && word.front() != '-') {
                words.push_back(word);
            }
        }
        return words;
    }

    std::map<std::string, Named> generations_;
};

// Commands that read no generation: they would have nothing to name.
const std::set<std::string> without_generations{
    "migrate",      "import",       "keygen",       "check",        "simulate",       "spool list",
    "spool show",   "spool export", "spool import", "spool resend", "spool claim",    "spool retire",
    "refused list", "refused show", "refused take", "refused drop", "quarantine drop"};

TEST_F(GenerationNames, AreTheSameInEveryCommandOfTheTool) {
    const std::string notification =
        value("SELECT max(id) FROM runledger.notifications WHERE run_id = 'priced' AND kind = 'ending'");
    const std::vector<std::string> reprice{"reprice", "--gpu", "A10G", "--from", "2026-01-01", "--to", "2026-02-01"};
    const auto with = [](std::vector<std::string> words, std::vector<std::string> more) {
        words.insert(words.end(), more.begin(), more.end());
        return words;
    };
    const std::vector<Call> calls{
        {{"status"}, Shows::name},
        {{"events"}, Shows::nothing},
        {{"explain", "priced"}, Shows::name},
        {{"explain", priced().key}, Shows::name},
        {{"explain", priced().number}, Shows::name},
        {{"audit"}, Shows::name},
        {{"quarantine", "list"}, Shows::nothing},
        {{"quarantine", "show", "1"}, Shows::nothing},
        {{"quarantine", "replay", "1"}, Shows::nothing},
        {{"outbox", "list"}, Shows::nothing},  // For people it is about runs; below is its JSON.
        {{"outbox", "show", notification}, Shows::name},
        {{"outbox", "retry", "1"}, Shows::nothing},
        {{"outbox", "drop", "1"}, Shows::nothing},
        {{"outbox", "send-logged", "1"}, Shows::nothing},
        {with(reprice, {"--list"}), Shows::name},
        {{"replay", "--from", "2026-01-01", "--to", "2026-02-01", "--into", "trial"}, Shows::name},
        {{"close", "2026-01", "--dry-run"}, Shows::nothing},
        {{"close", "2026-01"}, Shows::nothing},
        {{"statement", "2026-01"}, Shows::nothing},
        {{"export", "focus", "--month", "2026-01"}, Shows::key},
        {{"forget", "--dry-run", "--generation", priced().key}, Shows::nothing},
        {{"forget", "--dry-run", "--generation", priced().number}, Shows::nothing},
        {{"forget", "--generation", "no-such-key"}, Shows::nothing},
    };
    std::set<std::string> called;
    for (const Call& call : calls) {
        std::string text;
        for (const std::string& word : call.words) {
            text += (text.empty() ? "" : " ") + word;
        }
        SCOPED_TRACE(text);
        const Finished ended = tool(call.words);
        SCOPED_TRACE(ended.output);
        EXPECT_THAT(ended.status.code, AnyOf(done, answer_is_no));
        expect_names(call, ended);
        const Finished in_json = tool(with(call.words, {"--json"}));
        SCOPED_TRACE(in_json.output);
        expect_names_in_json({call.words, text == "outbox list" ? Shows::name : call.shows}, in_json);
        called.insert(text);
        called.insert(call.words.front());
        if (call.words.size() > 1) {
            called.insert(call.words[0] + " " + call.words[1]);
        }
    }

    for (const std::string& command : offered()) {
        EXPECT_TRUE(called.contains(command) || without_generations.contains(command))
            << command << ": call it above, or say that it reads no generation";
    }
    expect_names({{}, Shows::key}, tool({"statement", "2026-01", "--csv"}));
}

TEST_F(GenerationNames, AreInTheWordsAboutARowThatCouldNotBeRepriced) {
    const auto application = server().connect(database());
    pqxx::work lock(*application);
    lock.exec("SELECT FROM runledger.generations WHERE run_id = 'priced' FOR UPDATE");
    const std::vector<std::string> words{"reprice", "--gpu",      "A10G",    "--from", "2026-01-01",
                                         "--to",    "2026-02-01", "--apply", "--json"};

    const Finished text = tool({words.begin(), words.end() - 1});
    const Finished json = tool(words);

    for (const std::string& output : {text.output, json.output}) {
        EXPECT_THAT(output, HasSubstr(fmt::format("generation {} left: locked", priced().name())));
    }
}

}  // namespace
}  // namespace runledger::test
