#include "daemon/telegram/compose.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "daemon/telegram/text.hpp"

namespace runledger::telegram {
namespace {

constexpr std::size_t reason_units_max = 512;
constexpr std::size_t links_shown_max = 50;
constexpr std::size_t more_units_max = 64;  // Kept for "… and 12 more", in whatever words.

// "12.3 s", "3 min 12 s", "1 h 3 min": what a person wants to know, not what is charged.
std::string duration_text(double milliseconds) {
    const double tenths = std::round(milliseconds / 100);
    if (tenths < 1) {
        return "less than 0.1 s";
    }
    if (tenths < 600) {
        return fmt::format("{:.1f} s", tenths / 10);
    }
    const auto seconds = static_cast<std::int64_t>(std::min(std::round(milliseconds / 1000), 1e12));
    if (seconds < 3600) {
        return fmt::format("{} min {} s", seconds / 60, seconds % 60);
    }
    return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
}

// Likewise; the exact amount is in the database.
std::string cost_text(double usd) {
    if (usd >= 1) {
        return fmt::format("${:.2f}", std::min(usd, 1e12));
    }
    return usd > 0 && usd < 0.00005 ? "<$0.0001" : fmt::format("${:.4f}", std::max(usd, 0.0));
}

constexpr std::array<std::string_view, 3> endings{"failed", "timed out", "cancelled"};

// "failed while Executing KSampler (71 %)" tells the ending by itself; "CUDA out of memory" needs "Failed: " before it.
std::string reason_text(const SettlementNotice& notice) {
    const std::string_view reason = cut_to_units(notice.reason, reason_units_max);
    const std::string_view word = notice.status == EndStatus::cancelled ? "cancelled" : "failed";
    const bool tells_ending = std::any_of(endings.begin(), endings.end(),
                                          [&](std::string_view ending) { return reason.starts_with(ending); });
    std::string text = reason.empty() ? std::string(word)
                       : tells_ending ? std::string(reason)
                                      : fmt::format("{}: {}", word, reason);
    if (reason.size() < notice.reason.size()) {
        text += "…";
    }
    if (text.front() >= 'a' && text.front() <= 'z') {
        text.front() = static_cast<char>(text.front() - 'a' + 'A');
    }
    return text;
}

// What is beside the ending's own word: for wordings in another language.
std::string detail_text(const SettlementNotice& notice) {
    std::string_view detail = cut_to_units(notice.reason, reason_units_max);
    for (const std::string_view ending : endings) {
        if (detail.starts_with(ending)) {
            detail.remove_prefix(ending.size());
            detail.remove_prefix(std::min(detail.find_first_not_of(' '), detail.size()));
            if (detail.starts_with("while ")) {
                detail.remove_prefix(6);
            }
            break;
        }
    }
    return std::string(detail);
}

const Template& template_for(const SettlementNotice& notice, const Wording& wording) {
    switch (notice.status) {
        case EndStatus::completed:
            if (notice.kind == NoticeKind::follow_up) {
                return wording.follow_up;
            }
            return !notice.media.empty() || !notice.texts.empty() ? wording.completed
                   : notice.has_outputs                           ? wording.unshowable
                                                                  : wording.no_outputs;
        case EndStatus::failed:
            return notice.reason.starts_with("timed out") ? wording.timed_out : wording.failed;
        case EndStatus::cancelled:
            return wording.cancelled;
    }
    return wording.failed;
}

std::string headline(const SettlementNotice& notice, const Wording& wording) {
    Template::Values values{{"run_id", notice.run_id}, {"generation_id", notice.generation_id}};
    if (notice.duration_ms) {
        values["duration"] = duration_text(*notice.duration_ms);
    }
    if (notice.cost_usd) {
        values["cost"] = cost_text(*notice.cost_usd);
    }
    if (notice.status != EndStatus::completed) {
        values["reason"] = reason_text(notice);
        values["detail"] = detail_text(notice);
    }
    std::string sentence = clean(template_for(notice, wording).fill(values));
    if (notice.kind == NoticeKind::correction) {
        sentence = clean(wording.correction.fill({{"message", sentence}, {"run_id", notice.run_id}}));
    }
    return sentence;
}

// Each link on a line of its own; what does not fit is counted.
void add_links(HtmlText& text, std::span<const Medium* const> links, std::size_t left_out, const Wording& wording) {
    std::size_t shown = 0;
    while (shown < links.size() && shown < links_shown_max) {
        const Medium& link = *links[shown];
        const bool is_last = shown + 1 == links.size() && left_out == 0;
        if (text.units_left() < count_units(link.name) + 1 + (is_last ? 0 : more_units_max)) {
            break;
        }
        text.add("\n");
        (void)text.add_link(link.url, link.name);  // Fits: measured above.
        ++shown;
    }
    if (const std::size_t more = links.size() - shown + left_out; more > 0) {
        text.add("\n" + wording.more.fill({{"count", std::to_string(more)}}));
    }
}

std::size_t units_of_links(std::span<const Medium* const> links) {
    std::size_t units = more_units_max;
    for (const Medium* link : links.first(std::min(links.size(), links_shown_max))) {
        units += count_units(link->name) + 1;
    }
    return units;
}

void add_texts(HtmlText& text, std::span<const std::string> outputs, std::size_t room) {
    bool is_first = true;
    for (const std::string& output : outputs) {
        if (room < 3) {
            text.add("\n…");
            break;
        }
        if (!is_first || text.units_used() > 0) {
            text.add("\n\n");
        }
        is_first = false;
        const std::size_t before = text.units_left();
        text.add(output, room - 2);
        room -= 2 + (before - text.units_left());
    }
}

std::size_t units_of_texts(std::span<const std::string> outputs) {
    std::size_t units = 0;
    for (const std::string& output : outputs) {
        units += count_units(output) + 2;
    }
    return units;
}

Method method_for(MediumKind kind) noexcept {
    switch (kind) {
        case MediumKind::photo:
            return Method::send_photo;
        case MediumKind::video:
            return Method::send_video;
        case MediumKind::animation:
            return Method::send_animation;
        case MediumKind::audio:
            return Method::send_audio;
        case MediumKind::document:
            return Method::send_document;
    }
    return Method::send_document;
}

Method method_for(const std::vector<Attachment>& media) noexcept {
    return media.empty()       ? Method::send_message
           : media.size() == 1 ? method_for(media.front().kind)
                               : Method::send_media_group;
}

std::string_view word_of(EndStatus status) noexcept {
    switch (status) {
        case EndStatus::completed:
            return "completed";
        case EndStatus::failed:
            return "failed";
        case EndStatus::cancelled:
            return "cancelled";
    }
    return "failed";
}

// Under the last part; an album can't have any, so they come with a text of their own behind it.
void add_buttons(const SettlementNotice& notice, const Wording& wording, const OptionDefaults& defaults,
                 std::vector<Message>& parts) {
    const bool are_the_records = notice.options.buttons.has_value();
    const Template::Values values{{"run_id", notice.run_id},
                                  {"generation_id", notice.generation_id},
                                  {"status", std::string(word_of(notice.status))}};
    std::string left_out;
    Rows<Button> buttons =
        fill_buttons(are_the_records ? *notice.options.buttons : defaults.buttons, values,
                     are_the_records ? "metadata.deliveryHints.telegram.buttons" : "[telegram] buttons", left_out);
    if (!buttons.empty() && parts.back().method == Method::send_media_group) {
        const Message& album = parts.back();
        HtmlText text(text_units_max);
        text.add(clean(wording.buttons.fill({{"run_id", notice.run_id}, {"generation_id", notice.generation_id}})));
        parts.push_back({.text = text.take(),
                         .thread_id = album.thread_id,
                         .is_silent = true,  // The album has alerted.
                         .is_protected = album.is_protected});
    }
    parts.back().buttons = std::move(buttons);
    parts.back().left_out = std::move(left_out);
}

// What Telegram takes into one album: pictures and films together, sound and files each by themselves, animations not.
enum class AlbumKind : std::uint8_t { visual, animation, audio, document };

AlbumKind album_kind_of(MediumKind kind) noexcept {
    switch (kind) {
        case MediumKind::photo:
        case MediumKind::video:
            return AlbumKind::visual;
        case MediumKind::animation:
            return AlbumKind::animation;
        case MediumKind::audio:
            return AlbumKind::audio;
        case MediumKind::document:
            return AlbumKind::document;
    }
    return AlbumKind::document;
}

// "out.png", "out-2.png", …
void name_files(std::vector<Medium>& media, const std::string& name) {
    const std::size_t dot = name.rfind('.');
    const std::size_t stem = dot == std::string::npos || dot == 0 ? name.size() : dot;
    for (std::size_t i = 0; i < media.size(); ++i) {
        media[i].name = i == 0 ? name : fmt::format("{}-{}{}", name.substr(0, stem), i + 1, name.substr(stem));
    }
}

// Fills albums in the outputs' order, kind by kind; what is left over is to be linked.
std::vector<const Medium*> make_albums(const SettlementNotice& notice, bool are_documents,
                                       std::vector<Message>& parts) {
    std::vector<const Medium*> left_over;
    for (const AlbumKind album_kind :
         {AlbumKind::visual, AlbumKind::animation, AlbumKind::audio, AlbumKind::document}) {
        const std::size_t album_max = album_kind == AlbumKind::animation ? 1 : album_media_max;
        bool begins = true;
        for (const Medium& medium : notice.media) {
            const MediumKind kind = are_documents ? MediumKind::document : medium.kind;
            if (album_kind_of(kind) != album_kind) {
                continue;
            }
            if (begins || parts.back().media.size() == album_max) {
                if (parts.size() == media_parts_max) {
                    left_over.push_back(&medium);
                    continue;
                }
                parts.emplace_back();
                begins = false;
            }
            parts.back().media.push_back({.kind = kind,
                                          .url = medium.url,
                                          .name = medium.name,
                                          .preview = are_documents ? std::optional(medium.kind) : std::nullopt});
        }
    }
    for (Message& part : parts) {
        part.method = method_for(part.media);
    }
    return left_over;
}

}  // namespace

std::string_view to_word(Method method) noexcept {
    switch (method) {
        case Method::send_message:
            return "sendMessage";
        case Method::send_photo:
            return "sendPhoto";
        case Method::send_video:
            return "sendVideo";
        case Method::send_animation:
            return "sendAnimation";
        case Method::send_audio:
            return "sendAudio";
        case Method::send_document:
            return "sendDocument";
        case Method::send_media_group:
            return "sendMediaGroup";
    }
    return "unknown";
}

bool Message::has_uploads() const noexcept {
    return std::any_of(media.begin(), media.end(), [](const Attachment& each) { return each.bytes != nullptr; });
}

std::vector<Message> compose(const SettlementNotice& notice, const Wording& wording, const EarlierAttempts& earlier,
                             const OptionDefaults& defaults) {
    if (notice.kind == NoticeKind::follow_up && notice.media.empty() && notice.texts.empty()) {
        return {};
    }
    // What came out of a run that failed is no picture that anybody waits for.
    SettlementNotice shown = notice;
    if (notice.status != EndStatus::completed) {
        shown.media.clear();
        shown.texts.clear();
        shown.media_left_out = 0;
    } else if (!shown.media.empty() || !shown.texts.empty()) {
        shown.media_left_out += shown.links_unusable;  // Else the headline says that nothing can be shown.
    }
    if (!notice.options.file_name.empty()) {
        name_files(shown.media, notice.options.file_name);
    }
    std::vector<Message> parts;
    const std::vector<const Medium*> links =
        make_albums(shown, notice.options.sends_documents.value_or(defaults.sends_documents), parts);
    const std::size_t album_count = parts.size();
    const std::string note = clean(wording.duplicate.fill({}));
    const std::size_t note_units = count_units(note) + 2;

    // The caption's room, whether this is a duplicate or not: the parts must not depend on it.
    const std::string first_line = headline(shown, wording);
    const bool texts_fit = count_units(first_line) + units_of_texts(shown.texts) + note_units <= caption_units_max;
    const bool has_last_part =
        album_count == 0 || !links.empty() || shown.media_left_out > 0 || (!shown.texts.empty() && !texts_fit);
    if (has_last_part) {
        parts.emplace_back();
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
        Message& part = parts[i];
        const bool is_marked = earlier.may_have_arrived && i == earlier.parts_sent;
        const std::size_t units_max = part.has_media() ? caption_units_max : text_units_max;
        HtmlText text(units_max - (is_marked ? note_units : 0));
        if (i == 0) {
            text.add(first_line);
            if (shown.media.empty() && shown.texts.empty() && text.units_left() > shown.run_id.size() + 1) {
                text.add("\n");
                (void)text.add_code(shown.run_id);  // Fits: a unit is at most a byte.
            }
            if (part.has_media() && texts_fit) {
                add_texts(text, shown.texts, text.units_left());
            }
        }
        if (!part.has_media()) {
            if (album_count == 0 || !texts_fit) {
                // Half of the room is the texts' in any case, the links take what they need of the other half.
                const std::size_t links_units = links.empty() && shown.media_left_out == 0 ? 0 : units_of_links(links);
                add_texts(text, shown.texts, text.units_left() - std::min(links_units, text.units_left() / 2));
            }
            add_links(text, links, shown.media_left_out, wording);
        }
        part.text = text.take();
        if (is_marked) {
            HtmlText marked(note_units);
            marked.add(part.text.empty() ? "" : "\n\n");
            (void)marked.add_italic(note);  // Fits: its own length.
            part.text += marked.take();
        }
        part.thread_id = notice.thread_id;
        part.is_silent = notice.options.is_silent.value_or(
            notice.status == EndStatus::completed ? defaults.silent_success : defaults.silent_failure);
        part.is_protected = notice.options.is_protected.value_or(defaults.protect_content);
        if (i == 0) {
            part.reply_to = notice.reply_to;
        }
    }
    add_buttons(notice, wording, defaults, parts);
    return parts;
}

std::optional<Message> as_documents(const Message& message) {
    const bool is_other = std::any_of(message.media.begin(), message.media.end(),
                                      [](const Attachment& each) { return each.kind != MediumKind::document; });
    if (!is_other) {
        return std::nullopt;
    }
    Message documents = message;
    for (Attachment& attachment : documents.media) {
        attachment.kind = MediumKind::document;
        attachment.preview.reset();
    }
    documents.method = method_for(documents.media);
    return documents;
}

std::optional<Message> as_previews(const Message& message) {
    Message previews = message;
    for (Attachment& attachment : previews.media) {
        attachment.kind = attachment.preview.value_or(attachment.kind);
    }
    const auto is_document = [](const Attachment& each) { return each.kind == MediumKind::document; };
    if (std::all_of(previews.media.begin(), previews.media.end(), is_document)) {
        return std::nullopt;
    }
    const AlbumKind first = album_kind_of(previews.media.front().kind);
    const bool fits = previews.media.size() == 1 ||
                      (first != AlbumKind::animation &&
                       std::all_of(previews.media.begin(), previews.media.end(),
                                   [&](const Attachment& each) { return album_kind_of(each.kind) == first; }));
    if (!fits) {
        return std::nullopt;
    }
    previews.method = method_for(previews.media);
    return previews;
}

Message as_text(const Message& message) {
    Message text = message;
    text.method = Method::send_message;
    text.media.clear();
    // A caption and ten names of 64 units each are within a text's bound.
    HtmlText links(text_units_max - caption_units_max);
    bool is_first = message.text.empty();
    for (const Attachment& attachment : message.media) {
        if (!is_first) {
            links.add("\n");
        }
        is_first = false;
        (void)links.add_link(attachment.url, attachment.name);
    }
    text.text += links.take();
    return text;
}

Message without(const Message& message, const std::vector<bool>& is_gone, const Wording& wording) {
    Message left = message;
    left.media.clear();
    for (std::size_t i = 0; i < message.media.size(); ++i) {
        if (i >= is_gone.size() || !is_gone[i]) {
            left.media.push_back(message.media[i]);
        }
    }
    if (left.media.size() == message.media.size()) {
        return left;
    }
    left.method = method_for(left.media);
    const std::size_t gone = message.media.size() - left.media.size();
    const std::string sentence = clean(left.has_media() ? wording.some_expired.fill({{"count", std::to_string(gone)}})
                                                        : wording.link_expired.fill({}));
    const std::size_t units_max = left.has_media() ? caption_units_max : text_units_max;
    const std::size_t units = visible_units(left.text);
    if (units + count_units(sentence) + 1 <= units_max) {
        HtmlText added(count_units(sentence) + 1);
        added.add(left.text.empty() ? "" : "\n");
        added.add(sentence);
        left.text += added.take();
    }
    return left;
}

}  // namespace runledger::telegram
