#include "daemon/notify/media.hpp"

#include <memory>
#include <utility>

#include "daemon/telegram/link.hpp"

namespace runledger {
namespace {

using telegram::FetchVerdict;

constexpr std::chrono::seconds expiry_margin{30};    // Telegram fetches a little later than we look.
constexpr std::size_t photo_bytes_max = 10'000'000;  // docs/bot-api.md, "Media"; as a file it may have 50 MB.

}  // namespace

telegram::Message without_expired_links(const telegram::Message& message, std::chrono::system_clock::time_point now,
                                        const telegram::Wording& wording) {
    std::vector<bool> is_gone;
    for (const telegram::Attachment& attachment : message.media) {
        const auto expiry = telegram::find_link_expiry(attachment.url);
        is_gone.push_back(expiry && *expiry < now + expiry_margin);
    }
    return telegram::without(message, is_gone, wording);
}

telegram::Message with_fetched(telegram::Message message, std::vector<telegram::Fetched> fetched,
                               const telegram::Wording& wording) {
    std::vector<bool> is_gone(message.media.size(), false);
    bool is_unsure = false;
    bool is_too_large_for_a_photo = false;
    for (std::size_t i = 0; i < message.media.size(); ++i) {
        telegram::Attachment& attachment = message.media[i];
        switch (fetched[i].verdict) {
            case FetchVerdict::fetched:
                is_gone[i] = fetched[i].bytes.empty();
                is_too_large_for_a_photo |=
                    attachment.kind == telegram::MediumKind::photo && fetched[i].bytes.size() > photo_bytes_max;
                attachment.bytes = std::make_shared<const std::string>(std::move(fetched[i].bytes));
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
    }
    message = telegram::without(message, is_gone, wording);
    if (is_unsure) {
        return telegram::as_text(message);
    }
    return is_too_large_for_a_photo ? telegram::as_documents(message).value_or(message) : message;
}

}  // namespace runledger
