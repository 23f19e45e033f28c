// The page's HTML. Whatever the ledger holds, the page's elements are those of its own source: texts are only texts.
#include "daemon/web/page.hpp"

#include <gmock/gmock.h>

#include <random>

#include "daemon/web/frame.hpp"
#include "daemon/web/plot.hpp"

namespace runledger::web {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(Escaped, LeavesNothingThatHasAMeaningInHtml) {
    EXPECT_EQ(escaped("<a href=\"x\" b='y'>&`"), "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;&#96;");
    EXPECT_EQ(escaped("día – ok\n\t"), "día – ok\n\t");
}

TEST(Escaped, ReplacesControlsAndWhatIsNoUtf8) {
    EXPECT_EQ(escaped(std::string("a\0b\x1b", 4)),
              "a\xEF\xBF\xBD"
              "b\xEF\xBF\xBD");
    for (const std::string bad : {"\xff", "\xc0\xbc", "\xe0\x80\xbc", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3"}) {
        EXPECT_THAT(escaped(bad), Not(HasSubstr(bad)));
        EXPECT_THAT(escaped(bad + "<"), Not(HasSubstr("<")));
    }
}

// The elements and the names of their attributes, in order.
std::string structure_of(const std::string& html) {
    std::string structure;
    std::size_t at = 0;
    while ((at = html.find('<', at)) != std::string::npos) {
        ++at;
        while (at < html.size() && html[at] != '>') {
            const std::size_t end = html.find_first_of(" =>", at);
            structure += html.substr(at, end - at);
            at = end;
            if (html[at] == '=') {
                EXPECT_EQ(html[at + 1], '"');
                at = html.find('"', at + 2) + 1;
            }
            structure += html[at] == ' ' ? " " : "";
            at += html[at] == ' ' ? 1 : 0;
        }
        structure += '\n';
    }
    return structure;
}

// Gives every text of the facts the same content.
Trouble trouble(const std::string& text) {
    return {.what = text, .name = text, .run_id = text, .reason = text, .at = text, .command = text};
}

PageFacts facts_with(const std::string& text) {
    PageFacts facts;
    facts.health = {.verdict = Verdict::degraded,
                    .sentence = text,
                    .components = {{text, Condition::ok, text, text}, {text, Condition::degraded, text, text}},
                    .is_alive = true};
    facts.rates = {.events = 1, .events_of_hour = 60, .events_by_minute = {1, 0, 5}};
    LiveNumbers live;
    live.in_flight = {{text, 3, 4}, {text, 1, std::nullopt}};
    live.settle_lag = {5, 0.1, 0.2, 0.3};
    live.troubles = {trouble(text)};
    live.failed_runs = {trouble(text)};
    live.quarantined = 1;
    MonthNumbers month;
    month.zone = text;
    month.cost_usd = "1.5";
    month.days = {{.day = 1, .date = text, .generations = 2, .unpriced = 1, .cost_usd = text, .height = 1.5},
                  {.day = 2, .date = text, .generations = 0, .is_today = true},
                  {.day = 3, .date = text}};
    month.gpus = {{text, 2, 1, "1.5", 1.5}};
    month.troubles = {trouble(text)};
    facts.numbers.live.value = std::make_shared<const LiveNumbers>(std::move(live));
    facts.numbers.live.age = std::chrono::seconds{3};
    facts.numbers.live.error = text;
    facts.numbers.month.value = std::make_shared<const MonthNumbers>(std::move(month));
    facts.numbers.month.error = text;
    facts.numbers.edges.value = std::make_shared<const std::vector<EdgeNumbers>>(
        std::vector<EdgeNumbers>{{.name = text, .error = ""}, {.name = text, .error = text}});
    facts.host = facts.version = facts.now = text;
    return facts;
}

Overview::Found story_with(const std::string& text) {
    RunStory story{.run_id = text,
                   .status = text,
                   .event_count = 9,
                   .latest = text,
                   .cost_lines = {text},
                   .cost_usd = "1",
                   .duration_ms = "1",
                   .generation = text,
                   .steps = {{.day = text,
                              .time = text,
                              .step = text,
                              .status = text,
                              .edge = text,
                              .detail = text,
                              .after_seconds = 1.0}},
                   .is_cut = true,
                   .events_gone = 8};
    return {{.found = {}, .story = std::move(story)}, ""};
}

Overview::Found list_with(const std::string& text) {
    const FoundRun run{text, text, text, text, "1", "1", text, text};
    return {{.found = {run, run}, .story = std::nullopt}, ""};
}

std::vector<std::string> pages_with(const std::string& text) {
    return {page_of(facts_with(text)),          numbers_of(facts_with(text)), search_page(text, story_with(text)),
            search_page(text, list_with(text)), search_page(text, {}),        search_page(text, {{}, text})};
}

std::string hostile_text(std::minstd_rand& random) {
    static const std::vector<std::string> parts{"<script>alert(1)</script>",
                                                "\"",
                                                "'",
                                                "<",
                                                ">",
                                                "&",
                                                "&lt;",
                                                "-->",
                                                "</title>",
                                                "</main>",
                                                "javascript:",
                                                "\" onload=\"x",
                                                "`",
                                                "{}",
                                                "%s",
                                                "\xff",
                                                "\xc0\xbc",
                                                "\x1b[31m",
                                                "<img src=x onerror=y>",
                                                "a",
                                                " ",
                                                "=",
                                                std::string(1, '\0'),
                                                "</svg>",
                                                "<!--",
                                                "]]>",
                                                "\n"};
    std::string text = "a";  // Not empty: an absent text has another structure.
    const int count = std::uniform_int_distribution<int>{1, 8}(random);
    for (int i = 0; i < count; ++i) {
        text += parts[std::uniform_int_distribution<std::size_t>{0, parts.size() - 1}(random)];
    }
    return text;
}

TEST(PageMarkup, IsTheSameWhateverTheTextsAre) {
    const unsigned seed = std::random_device{}();
    std::minstd_rand random{seed};
    std::vector<std::string> expected;
    for (const std::string& page : pages_with("harmless")) {
        expected.push_back(structure_of(page));
        EXPECT_THAT(page, HasSubstr("harmless"));
    }
    for (int i = 0; i < 300; ++i) {
        const std::string text = hostile_text(random);
        const auto pages = pages_with(text);
        for (std::size_t k = 0; k < pages.size(); ++k) {
            ASSERT_EQ(structure_of(pages[k]), expected[k]) << "seed " << seed << ", page " << k << ", text " << text;
        }
    }
}

// What the Content-Security-Policy would refuse is not there to be refused.
TEST(PageMarkup, HasNoInlineScriptOrStyleAndNamesNoOtherHost) {
    for (std::string page : pages_with("harmless")) {
        EXPECT_THAT(page, Not(HasSubstr("style=")));
        EXPECT_THAT(page, Not(HasSubstr("<style")));
        EXPECT_THAT(page, Not(HasSubstr(" onclick")));
        EXPECT_THAT(page, Not(HasSubstr("//")));
        const std::string script = "<script src=\"/page.js\" defer></script>";
        if (const std::size_t at = page.find(script); at != std::string::npos) {
            page.erase(at, script.size());
        }
        EXPECT_THAT(page, Not(HasSubstr("<script")));
    }
}

TEST(PageMarkup, SaysWhatIsEmpty) {
    PageFacts facts;
    facts.health = judge({.phase = DaemonPhase::running});
    facts.numbers.live.value = std::make_shared<const LiveNumbers>();
    facts.numbers.month.value = std::make_shared<const MonthNumbers>();

    const std::string page = page_of(facts);

    EXPECT_THAT(page, HasSubstr("Work is flowing"));
    EXPECT_THAT(page, HasSubstr("Nothing. No message is dead"));
    EXPECT_THAT(page, HasSubstr("None within a week."));
    EXPECT_THAT(page, HasSubstr("Nothing has ended this month."));
    EXPECT_THAT(page, HasSubstr("[page] edges"));
}

TEST(PageMarkup, ShowsTheLastNumbersWithTheirAge) {
    PageFacts facts = facts_with("x");
    facts.numbers.live.error = "PostgreSQL is away";
    facts.numbers.live.age = std::chrono::seconds{190};

    EXPECT_THAT(page_of(facts), HasSubstr("PostgreSQL is away. The numbers are from 3 min ago."));
}

TEST(UrlWord, EscapesAllButPlainCharacters) { EXPECT_EQ(url_word("a-b/c d&é"), "a-b%2Fc%20d%26%C3%A9"); }

TEST(RoundTop, IsARoundNumberNoLess) {
    EXPECT_EQ(round_top(0), 1);
    EXPECT_EQ(round_top(std::nan("")), 1);
    EXPECT_EQ(round_top(1), 1);
    EXPECT_EQ(round_top(1.01), 1.5);
    EXPECT_EQ(round_top(2.2), 2.5);
    EXPECT_EQ(round_top(5.8), 6);
    EXPECT_EQ(round_top(99), 100);
    EXPECT_DOUBLE_EQ(round_top(0.0031), 0.004);
}

}  // namespace
}  // namespace runledger::web
