// What reaches people, once.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "tests/oracle/oracle.hpp"

namespace runledger::test {
namespace {

struct ChatExpectations {
    std::vector<ExpectedMessage> with_media{};
    int texts{};
    int uncertain{};  // Runs whose notice may be a text or not be told apart.
};

// The send… calls whose message was not deleted later: a progress message that made room for its ending is no notice.
std::map<std::string, std::vector<const BotCall*>> lasting_messages(const std::vector<BotCall>& calls) {
    std::set<std::pair<std::string, std::string>> deleted;
    for (const BotCall& call : calls) {
        if (call.accepted && call.method == "deleteMessage") {
            deleted.emplace(call.chat_id, call.fields.get("message_id"));
        }
    }
    std::map<std::string, std::vector<const BotCall*>> messages;
    for (const BotCall& call : calls) {
        const bool sends = call.accepted && call.method.starts_with("send") && !call.message_ids.empty();
        if (sends && !deleted.contains({call.chat_id, std::to_string(call.message_ids.front())})) {
            messages[call.chat_id].push_back(&call);
        }
    }
    return messages;
}

std::map<std::string, ChatExpectations> expectations_of(const std::vector<RunPlan>& runs, const Ledger& ledger) {
    const auto events = events_by_run(ledger);
    std::map<std::string, ChatExpectations> chats;
    for (const RunPlan& run : runs) {
        const auto own = events.find(run.run_id);
        const auto expected = expected_message(
            run, expected_generation(run, own == events.end() ? std::vector<const StoredEvent*>{} : own->second));
        if (!expected) {
            continue;
        }
        ChatExpectations& chat = chats[expected->chat_id];
        if (!expected->certain) {
            ++chat.uncertain;
        } else if (expected->mentions.empty()) {
            ++chat.texts;
        } else {
            chat.with_media.push_back(*expected);
        }
    }
    return chats;
}

void check_media(const ExpectedMessage& expected, std::vector<const BotCall*>& calls, const MessageRules& rules,
                 Findings& findings) {
    std::vector<const BotCall*> matching;
    std::erase_if(calls, [&](const BotCall* call) {
        const bool matches = std::any_of(expected.mentions.begin(), expected.mentions.end(),
                                         [&](const std::string& mention) { return call->mentions(mention); });
        if (matches) {
            matching.push_back(call);
        }
        return matches;
    });
    if (matching.empty() || (matching.size() > 1 && !rules.duplicates_allowed)) {
        findings.push_back(fmt::format("chat {}: {} messages with {}, not 1", expected.chat_id, matching.size(),
                                       expected.mentions.front()));
    }
    for (const BotCall* call : matching) {
        const bool fits =
            std::find(expected.methods.begin(), expected.methods.end(), call->method) != expected.methods.end();
        if (!fits && !rules.fallbacks_allowed) {
            findings.push_back(fmt::format("chat {}: {} for {}, not {}", expected.chat_id, call->method,
                                           expected.mentions.front(), expected.methods.front()));
        }
    }
}

void check_texts(const std::string& chat_id, const ChatExpectations& expected, std::size_t left,
                 const MessageRules& rules, Findings& findings) {
    const int most = expected.texts + expected.uncertain +
                     (rules.follow_ups_allowed ? static_cast<int>(expected.with_media.size()) + expected.texts : 0);
    const auto count = static_cast<int>(left);
    if (count < expected.texts || (count > most && !rules.duplicates_allowed)) {
        findings.push_back(fmt::format("chat {}: {} messages without a known medium, not {} to {}", chat_id, count,
                                       expected.texts, most));
    }
}

}  // namespace

std::optional<ExpectedMessage> expected_message(const RunPlan& run, const ExpectedGeneration& expected) {
    if (!run.chat_id || expected.status == "pending" || expected.status == "processing") {
        return std::nullopt;
    }
    ExpectedMessage message{.chat_id = std::to_string(*run.chat_id), .methods = {"sendMessage"}};
    if (expected.status != "completed") {
        return message;
    }
    std::vector<std::string> urls;
    for (const PlannedOutput* output : expected.outputs) {
        if (!output->urls.empty() && urls.empty()) {
            message.methods = {output->kind == MediaKind::video ? "sendVideo" : "sendPhoto"};
        }
        urls.insert(urls.end(), output->urls.begin(), output->urls.end());
        message.certain = message.certain && output->storable;
    }
    if (urls.size() > 1) {
        message.methods = {"sendMediaGroup"};
    }
    if (expected.notice_may_be_partial) {
        message.methods = {"sendPhoto", "sendVideo", "sendMediaGroup"};
        message.mentions = urls;
    } else if (!urls.empty()) {
        message.mentions = {urls.front()};
    }
    return message;
}

Findings check_messages(const std::vector<RunPlan>& runs, const Ledger& ledger, const std::vector<BotCall>& calls,
                        const MessageRules& rules) {
    Findings findings;
    auto messages = lasting_messages(calls);
    for (const auto& [chat_id, expected] : expectations_of(runs, ledger)) {
        std::vector<const BotCall*>& own = messages[chat_id];
        for (const ExpectedMessage& media : expected.with_media) {
            check_media(media, own, rules, findings);
        }
        check_texts(chat_id, expected, own.size(), rules, findings);
        messages.erase(chat_id);
    }
    for (const auto& [chat_id, unexpected] : messages) {
        findings.push_back(fmt::format("chat {}: {} messages where none is due", chat_id, unexpected.size()));
    }
    return findings;
}

}  // namespace runledger::test
