// One run, told by the bodies that the sender's own serialisation makes, from the webhook to the message.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/integration/pipeline/pipeline_fixture.hpp"

namespace runledger::test {
namespace {

constexpr const char* run_id = "0b7f9a52-6f0e-4c3c-9d55-0a4c1f6f2a11";
constexpr const char* picture_url =
    "https://comfy-deploy-output.s3.us-east-2.amazonaws.com/outputs/runs/0b7f9a52-6f0e-4c3c-9d55-0a4c1f6f2a11/"
    "ComfyUI_00001_.png";

class Payloads : public Pipeline {
protected:
    Payloads() {
        start_all();
        insert_generation(run_id);
    }

    void post_all(std::initializer_list<const char*> names) {
        for (const char* name : names) {
            ASSERT_EQ(post(payload(name)), 200) << name;
        }
    }

    void wait_for(std::string_view status) {
        eventually(fmt::format("the generation is {}", status),
                   [&] { return value("SELECT status FROM runledger.generations") == status; });
    }

    void wait_for_events(int count) {
        eventually("all events are in the ledger",
                   [&] { return value("SELECT count(*) FROM runledger.webhook_events") == std::to_string(count); });
        eventually("nothing waits to be settled",
                   [&] { return value("SELECT count(*) FROM runledger.settle_queue") == "0"; });
        eventually("nothing waits to be told", [&] {
            return value("SELECT count(*) FROM runledger.notifications WHERE state IN ('pending', 'leased')") == "0";
        });
    }

    // The one row and the one message that a success with a picture comes to, by the stored stamps.
    void expect_row_and_picture() {
        // Whole numbers all the way: microseconds times 337 are billionths times 1000 of a dollar.
        const std::int64_t duration_us = std::stoll(
            value("SELECT (SELECT min(boottime_us) FROM runledger.webhook_events WHERE status = 'success') - "
                  "(SELECT min(boottime_us) FROM runledger.webhook_events WHERE status = 'running')"));
        EXPECT_GT(duration_us, 0);
        EXPECT_EQ(value("SELECT status FROM runledger.generations"), "completed");
        EXPECT_EQ(value("SELECT duration_ms * 1000 = " + std::to_string(duration_us) + " FROM runledger.generations"),
                  "t");
        EXPECT_EQ(
            value("SELECT cost_usd::text FROM runledger.generations"),
            fmt::format("{}.{:012}", duration_us * 337 / 1'000'000'000'000, duration_us * 337 % 1'000'000'000'000));
        EXPECT_EQ(value("SELECT coalesce(cost_note, '-') FROM runledger.generations"), "-");
        const auto messages = bot().sent_to("42");
        ASSERT_EQ(messages.size(), 1U);
        EXPECT_EQ(messages[0].method, "sendPhoto");
        EXPECT_TRUE(messages[0].mentions(picture_url));
    }
};

TEST_F(Payloads, SettleOneRunAndSendOneMessageWithThePicture) {
    post_all({"wire/01_queued.json", "wire/02_started.json", "wire/03_running.json",
              "wire/04_progress_CheckpointLoader.json", "wire/05_progress_KSampler.json",
              "wire/06_progress_SaveImage.json"});
    wait_for("processing");
    post_all({"wire/07_uploading_old_plugin.json", "wire/08_success_one_image.json"});
    eventually("the message is sent", [&] { return !bot().sent_to("42").empty(); });
    // What else the sender has been seen to say of a run, after its ending.
    post_all({"wire/10_success_ten_images.json", "wire/11_success_private_presigned.json",
              "wire/13_success_video_files.json", "wire/15_success_no_outputs.json", "wire/16_failed.json",
              "wire/17_timeout.json", "wire/18_cancelled.json", "wire/19_run_output_event.json",
              "wire/20_pre_2025_02_13_no_event_type.json"});
    wait_for_events(17);

    expect_row_and_picture();
    expect_the_books_balance();
}

TEST_F(Payloads, KeepThePictureWhenALateProgressEventOvertakesTheSuccess) {
    post_all(
        {"wire/01_queued.json", "wire/02_started.json", "wire/03_running.json", "wire/15_success_no_outputs.json"});
    wait_for("completed");

    post_all({"wire/08_success_one_image.json"});
    wait_for_events(5);

    expect_row_and_picture();
}

TEST_F(Payloads, TellOfAFailure) {
    post_all({"wire/03_running.json", "wire/16_failed.json"});
    wait_for("failed");
    wait_for_events(2);

    EXPECT_EQ(value("SELECT status_reason FROM runledger.generations"), "failed while Executing KSampler (71 %)");
    EXPECT_EQ(value("SELECT coalesce(cost_usd::text, 'NULL') || ' ' || cost_note FROM runledger.generations"),
              "NULL not_charged");
    const auto messages = bot().sent_to("42");
    ASSERT_EQ(messages.size(), 1U);
    EXPECT_EQ(messages[0].method, "sendMessage");
    EXPECT_TRUE(messages[0].mentions("Executing KSampler"));
}

TEST_F(Payloads, AnswerWhatIntegratorsBelieveTheSenderSends) {
    for (const char* name :
         {"published/stationthis_test_queued.json", "published/stationthis_test_running_047.json",
          "published/stationthis_test_success.json", "published/stationthis_mock_2025_success.json",
          "published/stationthis_test_failed.json", "published/sdk_speakeasy_webhook_body_example.json"}) {
        EXPECT_EQ(post(payload(name)), 200) << name;
    }
    wait_for_events(6);

    EXPECT_EQ(value("SELECT output #>> '{images,0,filename}' FROM runledger.run_outputs "
                    "WHERE run_id LIKE 'test-run-webhook-ws-%'"),
              "ComfyUI_00001_.png");
}

}  // namespace
}  // namespace runledger::test
