#include "daemon/notify/delivery.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runledger {
namespace {

using std::chrono::milliseconds;
using telegram::Answer;
using telegram::FetchVerdict;
using telegram::Method;
using telegram::Verdict;
using testing::HasSubstr;
using Delivery = NotificationDelivery;

constexpr double chance = 1.0;
const Delivery::WallTime now{};

std::string pictures(int count, std::string_view query = "") {
    std::string images;
    for (int i = 1; i <= count; ++i) {
        images += fmt::format(R"({}{{"filename":"{}.png","url":"https://h/{}.png{}"}})", i > 1 ? "," : "", i, i, query);
    }
    return fmt::format(R"({{"status":"completed","outputs":[{{"data":{{"images":[{}]}}}}]}})", images);
}

Answer sent(std::int64_t message_id = 7) { return {.verdict = Verdict::sent, .message_id = message_id}; }
Answer answer_of(Verdict verdict, std::string words = "words") {
    return {.verdict = verdict, .description = std::move(words)};
}

class ADelivery : public testing::Test {
protected:
    Delivery& leased(LeasedNotification row) {
        row.id = 5;
        row.chat_id = 42;
        row.run_id = "run-1";
        row.kind = row.kind.empty() ? "ending" : row.kind;
        row.attempts = row.attempts == 0 ? 1 : row.attempts;
        return delivery_.emplace(std::move(row), rules_);
    }

    // Its action as a word, and the outcome beside it where it is one.
    std::string doing(Delivery::Action action) {
        if (const auto* fetch = std::get_if<Delivery::FetchMedia>(&action)) {
            fetch_ = *fetch;
            return "fetch";
        }
        if (auto* outcome = std::get_if<AttemptOutcome>(&action)) {
            outcome_ = std::move(*outcome);
            return std::string(to_word(outcome_.decision.state));
        }
        return std::holds_alternative<Delivery::SendMessage>(action)  ? "send"
               : std::holds_alternative<Delivery::WriteToLog>(action) ? "log"
                                                                      : "wait";
    }

    std::string answered(const Answer& answer) {
        delivery_->on_call();
        return doing(delivery_->on_answer(answer, chance));
    }
    std::string stored() { return doing(delivery_->on_stored(Decision(outcome_.decision), now)); }

    Delivery::Rules rules_{.fetch_bytes_max = 1000};
    std::optional<Delivery> delivery_;
    Delivery::FetchMedia fetch_;
    AttemptOutcome outcome_;
};

TEST_F(ADelivery, IsOneCallForAPicture) {
    auto& delivery = leased({.payload = pictures(1)});

    EXPECT_EQ(doing(delivery.begin(now)), "send");
    EXPECT_EQ(delivery.message().method, Method::send_photo);
    EXPECT_EQ(answered(sent()), "sent");

    EXPECT_EQ(outcome_.id, 5);
    EXPECT_EQ(outcome_.chat_id, 42);
    EXPECT_EQ(outcome_.message_id, 7);
    EXPECT_TRUE(delivery.is_ending());
}

TEST_F(ADelivery, IsSkippedWhereNothingIsToBeShown) {
    EXPECT_EQ(doing(leased({.kind = "follow_up", .payload = R"({"status":"completed"})"}).begin(now)), "skipped");
}

TEST_F(ADelivery, IsDeadWhereItsPayloadCantBeRead) {
    EXPECT_EQ(doing(leased({.payload = "[]"}).begin(now)), "dead");
    EXPECT_EQ(doing(leased({.kind = "rumour", .payload = pictures(1)}).begin(now)), "dead");
}

TEST_F(ADelivery, SendsItsPartsOneAfterAnotherAndStoresEach) {
    auto& delivery = leased({.payload = pictures(13)});

    EXPECT_EQ(doing(delivery.begin(now)), "send");
    EXPECT_EQ(delivery.message().media.size(), 10U);
    EXPECT_EQ(answered(sent(1)), "send_again");
    EXPECT_TRUE(outcome_.decision.confirms_part);
    EXPECT_EQ(outcome_.parts_sent, 1U);
    EXPECT_FALSE(delivery.is_ending()) << "its lease is still needed";
    EXPECT_EQ(stored(), "send");
    EXPECT_EQ(delivery.message().media.size(), 3U);
    EXPECT_EQ(answered(sent(2)), "sent");
    EXPECT_EQ(outcome_.parts_sent, 2U);
}

TEST_F(ADelivery, GoesOnBehindThePartsThatEarlierAttemptsHaveSent) {
    EXPECT_EQ(doing(leased({.payload = pictures(13), .parts_sent = 1}).begin(now)), "send");
    EXPECT_EQ(delivery_->message().media.size(), 3U);

    EXPECT_EQ(doing(leased({.payload = pictures(13), .parts_sent = 2}).begin(now)), "sent");
    EXPECT_EQ(outcome_.parts_sent, 2U);
}

TEST_F(ADelivery, MarksWhatMayHaveArrivedBefore) {
    EXPECT_EQ(doing(leased({.payload = pictures(1), .uncertain_attempts = 1}).begin(now)), "send");

    EXPECT_THAT(delivery_->message().text, HasSubstr("duplicate"));
}

TEST_F(ADelivery, FallsBackFromPhotoToDocumentToText) {
    auto& delivery = leased({.payload = pictures(1)});
    ASSERT_EQ(doing(delivery.begin(now)), "send");

    EXPECT_EQ(answered(answer_of(Verdict::media_refused)), "send_again");
    EXPECT_EQ(stored(), "send");
    EXPECT_EQ(delivery.message().method, Method::send_document);
    EXPECT_EQ(answered(answer_of(Verdict::media_refused)), "send_again");
    EXPECT_EQ(stored(), "send");
    EXPECT_EQ(delivery.message().method, Method::send_message);
    EXPECT_EQ(answered(sent()), "sent");
    EXPECT_EQ(outcome_.decision.error, "words") << "the row tells what was met on the way";
}

// The next lease of the same row, as the outcome was stored.
TEST_F(ADelivery, GoesOnInTheFormThatIsLeftThoughItsAttemptWasGivenBack) {
    struct Row {
        const char* name;
        std::vector<Verdict> answers;
        Method method;
        std::optional<std::int64_t> thread_id;
    };
    for (const Row& each : {Row{"media", {}, Method::send_media_group, 9},
                            Row{"documents", {Verdict::media_refused}, Method::send_media_group, 9},
                            Row{"text", {Verdict::media_refused, Verdict::media_refused}, Method::send_message, 9},
                            Row{"forbidden", {Verdict::media_forbidden}, Method::send_message, 9},
                            Row{"thread", {Verdict::thread_refused}, Method::send_media_group, std::nullopt}}) {
        SCOPED_TRACE(each.name);
        LeasedNotification row{.payload = pictures(5)};
        row.payload.insert(1, R"("message_thread_id":"9",)");
        (void)leased(row).begin(now);
        for (const Verdict verdict : each.answers) {
            ASSERT_EQ(answered(answer_of(verdict)), "send_again");
            ASSERT_EQ(stored(), "send");
        }
        row.next_part = delivery_->give_back("waits for Telegram's pace").next_part;

        ASSERT_EQ(doing(leased(row).begin(now)), "send");

        EXPECT_EQ(delivery_->message().method, each.method);
        EXPECT_EQ(delivery_->message().thread_id, each.thread_id);
        EXPECT_EQ(row.next_part.fallbacks, each.answers.size());
        if (each.method == Method::send_media_group) {
            EXPECT_EQ(delivery_->message().media.back().kind == telegram::MediumKind::document,
                      row.next_part.form == MessageForm::documents);
        }
    }
}

TEST_F(ADelivery, CountsWhatItsFallbacksHaveCostOverAllAttempts) {
    LeasedNotification row{.payload = pictures(5), .next_part = {.fallbacks = 4}};

    (void)leased(row).begin(now);

    EXPECT_EQ(answered(answer_of(Verdict::media_refused)), "dead");
}

TEST_F(ADelivery, StartsItsNextPartWithMediaAgainButWithoutTheThread) {
    LeasedNotification row{.payload = pictures(13)};
    row.payload.insert(1, R"("message_thread_id":"9",)");
    (void)leased(row).begin(now);
    for (const Verdict verdict : {Verdict::thread_refused, Verdict::media_refused}) {
        ASSERT_EQ(answered(answer_of(verdict)), "send_again");
        ASSERT_EQ(stored(), "send");
    }

    ASSERT_EQ(answered(sent()), "send_again");
    EXPECT_EQ(outcome_.next_part.form, MessageForm::media);
    EXPECT_EQ(outcome_.next_part.fallbacks, 0U);
    ASSERT_EQ(stored(), "send");

    EXPECT_EQ(delivery_->message().media.front().kind, telegram::MediumKind::photo);
    EXPECT_EQ(delivery_->message().thread_id, std::nullopt);
}

TEST_F(ADelivery, IsATextAfterAnAlbumWasTooManyThreeTimes) {
    LeasedNotification row{.payload = pictures(5)};
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(doing(leased(row).begin(now)), "send");
        ASSERT_EQ(delivery_->message().method, Method::send_media_group);
        ASSERT_EQ(answered(answer_of(Verdict::too_many)), "pending");
        row.next_part = outcome_.next_part;
    }

    ASSERT_EQ(doing(leased(row).begin(now)), "send");
    EXPECT_EQ(delivery_->message().method, Method::send_message);

    LeasedNotification one{.payload = pictures(1), .next_part = {.refusals_for_pace = 9}};
    (void)leased(one).begin(now);
    ASSERT_EQ(answered(answer_of(Verdict::too_many)), "pending");
    EXPECT_EQ(outcome_.next_part.form, MessageForm::media) << "a text would count for as many";
}

TEST_F(ADelivery, IsATextAtOnceWhereNoMediaMayBePosted) {
    auto& delivery = leased({.payload = pictures(1)});
    ASSERT_EQ(doing(delivery.begin(now)), "send");

    ASSERT_EQ(answered(answer_of(Verdict::media_forbidden)), "send_again");
    EXPECT_EQ(stored(), "send");

    EXPECT_EQ(delivery.message().method, Method::send_message);
}

TEST_F(ADelivery, FollowsAGroupToItsNewId) {
    auto& delivery = leased({.payload = pictures(1)});
    ASSERT_EQ(doing(delivery.begin(now)), "send");

    EXPECT_EQ(answered({.verdict = Verdict::migrated, .migrate_to = -1009, .description = "moved"}), "send_again");
    EXPECT_EQ(outcome_.chat_id, 42) << "the answer is about the old one";
    EXPECT_EQ(stored(), "send");

    EXPECT_EQ(delivery.row().chat_id, -1009);
    EXPECT_EQ(delivery.message().method, Method::send_photo);
}

TEST_F(ADelivery, LeavesOutAThreadThatIsNone) {
    auto& delivery = leased({.payload = R"({"status":"failed","message_thread_id":"9"})"});
    ASSERT_EQ(doing(delivery.begin(now)), "send");
    ASSERT_EQ(delivery.message().thread_id, 9);

    EXPECT_EQ(answered(answer_of(Verdict::thread_refused)), "send_again");
    EXPECT_EQ(stored(), "send");
    EXPECT_EQ(delivery.message().thread_id, std::nullopt);
    EXPECT_EQ(answered(answer_of(Verdict::thread_refused)), "dead") << "there is none to leave out";
}

TEST_F(ADelivery, LeavesOutALinkThatHasExpired) {
    auto& delivery = leased({.payload = pictures(1, "?X-Amz-Date=19690101T000000Z&X-Amz-Expires=60")});

    EXPECT_EQ(doing(delivery.begin(now)), "send");

    EXPECT_EQ(delivery.message().method, Method::send_message);
}

TEST_F(ADelivery, FetchesWhatMayBeFetchedAndSharesTheBound) {
    rules_.may_fetch = [](std::string_view url) { return url != "https://h/2.png"; };
    auto& delivery = leased({.payload = pictures(3)});

    ASSERT_EQ(doing(delivery.begin(now)), "fetch");
    ASSERT_EQ(fetch_.links.size(), 2U);
    EXPECT_EQ(fetch_.links[1].index, 2U);
    EXPECT_EQ(fetch_.links[1].bytes_max, 500U);
    EXPECT_TRUE(delivery.may_hold_bytes());

    EXPECT_EQ(doing(delivery.on_fetched(0, {.verdict = FetchVerdict::fetched, .bytes = "png"})), "wait");
    EXPECT_EQ(doing(delivery.on_fetched(2, {.verdict = FetchVerdict::gone, .why = "is answered with HTTP 404"})),
              "send");
    EXPECT_EQ(delivery.message().media.size(), 2U);
    EXPECT_TRUE(delivery.message().has_uploads());
    EXPECT_EQ(answered(sent()), "sent");
    EXPECT_EQ(outcome_.decision.error, "3.png is answered with HTTP 404");
}

TEST_F(ADelivery, IsATextWhereALinkDoesNotAnswer) {
    rules_.may_fetch = [](std::string_view) { return true; };
    auto& delivery = leased({.payload = pictures(1)});
    ASSERT_EQ(doing(delivery.begin(now)), "fetch");

    EXPECT_EQ(doing(delivery.on_fetched(0, {.verdict = FetchVerdict::unreachable, .why = "time-out"})), "send");

    EXPECT_EQ(delivery.message().method, Method::send_message);
}

TEST_F(ADelivery, IsGivenBackWithoutAnAttemptWhereThePaceIsTooSlow) {
    auto& delivery = leased({.payload = pictures(1)});
    ASSERT_EQ(doing(delivery.begin(now)), "send");

    const AttemptOutcome outcome = delivery.give_back("waits", milliseconds{9});

    EXPECT_EQ(outcome.decision.state, NextState::pending);
    EXPECT_EQ(outcome.decision.delay, milliseconds{9});
    EXPECT_TRUE(outcome.decision.gives_attempt_back);
    EXPECT_TRUE(delivery.is_ending());
}

TEST_F(ADelivery, CountsAnAttemptInWhichTheDaemonFailed) {
    auto& delivery = leased({.payload = pictures(1)});
    (void)delivery.begin(now);

    const AttemptOutcome before = delivery.fail("out of memory", chance);
    EXPECT_EQ(before.decision.state, NextState::pending);
    EXPECT_FALSE(before.decision.gives_attempt_back);
    EXPECT_FALSE(before.decision.may_have_arrived);

    auto& called = leased({.payload = pictures(1)});
    (void)called.begin(now);
    called.on_call();
    EXPECT_TRUE(called.fail("out of memory", chance).decision.may_have_arrived);

    EXPECT_EQ(leased({.payload = pictures(1), .attempts = 12}).fail("out of memory", chance).decision.state,
              NextState::dead);
}

TEST_F(ADelivery, IsGivenBackAtAStopUnlessItsCallIsInFlight) {
    for (const bool is_fetching : {true, false}) {
        rules_.may_fetch = [=](std::string_view) { return is_fetching; };
        auto& delivery = leased({.payload = pictures(1)});
        (void)delivery.begin(now);
        EXPECT_EQ(doing(delivery.stop()), "pending");
        EXPECT_TRUE(outcome_.decision.gives_attempt_back);
        EXPECT_FALSE(delivery.may_hold_bytes());
        EXPECT_EQ(doing(delivery.on_fetched(0, {.verdict = FetchVerdict::fetched, .bytes = "late"})), "wait");
    }
}

TEST_F(ADelivery, TakesTheAnswerThatComesAfterAStop) {
    struct Row {
        Answer answer;
        const char* state;
        bool gives_attempt_back;
    };
    for (const Row& row :
         {Row{sent(), "sent", false}, Row{answer_of(Verdict::media_refused), "pending", true},
          Row{answer_of(Verdict::unavailable), "pending", true}, Row{answer_of(Verdict::uncertain), "pending", false},
          Row{answer_of(Verdict::refused), "dead", false}}) {
        auto& delivery = leased({.payload = pictures(1)});
        (void)delivery.begin(now);
        delivery.on_call();
        EXPECT_EQ(doing(delivery.stop()), "wait");

        EXPECT_EQ(doing(delivery.on_answer(row.answer, chance)), row.state);
        EXPECT_EQ(outcome_.decision.gives_attempt_back, row.gives_attempt_back) << row.state;
    }
}

TEST_F(ADelivery, BeginsNoFurtherPartAfterAStop) {
    auto& delivery = leased({.payload = pictures(13)});
    (void)delivery.begin(now);
    ASSERT_EQ(answered(sent()), "send_again");

    EXPECT_EQ(doing(delivery.stop()), "wait") << "the part that was sent is to be stored first";
    EXPECT_EQ(stored(), "pending");
    EXPECT_TRUE(outcome_.decision.gives_attempt_back);
}

TEST_F(ADelivery, IsWrittenToTheLogInPlaceOfBeingSent) {
    rules_.only_logs = true;
    rules_.may_fetch = [](std::string_view) { return true; };
    auto& delivery = leased({.payload = pictures(13)});

    EXPECT_EQ(doing(delivery.begin(now)), "log");
    EXPECT_EQ(delivery.parts().size(), 2U);
    EXPECT_EQ(doing(delivery.on_written_to_log()), "logged");
}

}  // namespace
}  // namespace runledger
