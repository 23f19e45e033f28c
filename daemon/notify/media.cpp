// Prepares a message's links before it is sent: expired links are left out, links of configured hosts are fetched, so
// that Telegram never gets a link that does not answer, which it would remember as bad for days (docs/bot-api.md,
// "Media").
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "daemon/notify/notify.hpp"
#include "daemon/telegram/link.hpp"

namespace runledger {
namespace {

using telegram::FetchVerdict;

constexpr std::chrono::seconds expiry_margin{30};  // Telegram fetches a little later than we look.
constexpr std::int64_t tickets_each = 16;          // A message has at most ten media.
static_assert(tickets_each >= static_cast<std::int64_t>(telegram::album_media_max));
constexpr std::size_t photo_bytes_max = 10'000'000;  // docs/bot-api.md, "Media"; as a file it may have 50 MB.

}  // namespace

void Notifier::prepare_media(Delivery& delivery) {
    const auto now = std::chrono::system_clock::now();
    std::vector<bool> is_gone;
    for (const telegram::Attachment& attachment : delivery.message.media) {
        const auto expiry = telegram::find_link_expiry(attachment.url);
        is_gone.push_back(expiry && *expiry < now + expiry_margin);
    }
    delivery.message = telegram::without(delivery.message, is_gone, config_.text);
    const auto& media = delivery.message.media;
    delivery.fetched.assign(media.size(),
                            telegram::Fetched{.verdict = FetchVerdict::too_large});  // Those are left to Telegram.
    delivery.fetching = 0;
    if (fetcher_) {
        const auto wanted = std::count_if(media.begin(), media.end(), [&](const telegram::Attachment& attachment) {
            return fetcher_->may_fetch(attachment.url);
        });
        for (std::size_t i = 0; i < media.size(); ++i) {
            if (fetcher_->may_fetch(media[i].url)) {
                // All media of a message share its bound.
                fetcher_->fetch({.ticket = delivery.row.id * tickets_each + static_cast<std::int64_t>(i),
                                 .url = media[i].url,
                                 .bytes_max = config_.fetch_bytes_max / static_cast<std::size_t>(wanted)});
                ++delivery.fetching;
            }
        }
    }
    if (delivery.fetching == 0) {
        send(delivery);
    }
}

void Notifier::take_fetched(telegram::Fetcher::Ended ended) {
    Delivery& delivery = deliveries_.at(ended.ticket / tickets_each);
    if (delivery.fetching == 0) {
        return;  // Stopped meanwhile.
    }
    delivery.fetched[static_cast<std::size_t>(ended.ticket % tickets_each)] = std::move(ended.result);
    if (--delivery.fetching == 0) {
        apply_fetched(delivery);
        send(delivery);
    }
}

void Notifier::apply_fetched(Delivery& delivery) {
    telegram::Message& message = delivery.message;
    std::vector<bool> is_gone(message.media.size(), false);
    bool is_unsure = false;
    bool is_too_large_for_a_photo = false;
    for (std::size_t i = 0; i < message.media.size(); ++i) {
        telegram::Fetched& fetched = delivery.fetched[i];
        telegram::Attachment& attachment = message.media[i];
        switch (fetched.verdict) {
            case FetchVerdict::fetched:
                is_gone[i] = fetched.bytes.empty();
                is_too_large_for_a_photo |=
                    attachment.kind == telegram::MediumKind::photo && fetched.bytes.size() > photo_bytes_max;
                attachment.bytes = std::make_shared<const std::string>(std::move(fetched.bytes));
                break;
            case FetchVerdict::gone:
                is_gone[i] = true;
                break;
            case FetchVerdict::too_large:
                break;  // It answers; Telegram takes it by its URL, or says that it is too large.
            case FetchVerdict::forbidden:
            case FetchVerdict::unreachable:
                is_unsure = true;
                break;
        }
        if (!fetched.why.empty()) {
            delivery.met = fmt::format("{} {}", attachment.name, fetched.why);
            spdlog::warn("a link is not uploaded notification={} run_id={} error={}", delivery.row.id,
                         in_quotes(delivery.row.run_id), in_quotes(delivery.met));
        }
    }
    message = telegram::without(message, is_gone, config_.text);
    if (is_unsure) {
        message = telegram::as_text(message);
    } else if (is_too_large_for_a_photo) {
        message = telegram::as_documents(message).value_or(message);
    }
    delivery.fetched.clear();
}

std::size_t Notifier::deliveries_with_bytes() const {
    return static_cast<std::size_t>(std::count_if(deliveries_.begin(), deliveries_.end(), [](const auto& entry) {
        return entry.second.fetching > 0 || entry.second.message.has_uploads();
    }));
}

}  // namespace runledger
