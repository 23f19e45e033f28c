#include "daemon/telegram.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "daemon/json.hpp"
#include "daemon/telegram_text.hpp"

namespace runledger::telegram {
namespace {

constexpr std::string_view duplicate_note = "Possibly a duplicate: an earlier try may have arrived.";
constexpr std::size_t duplicate_note_units = 54 + 2;  // And the blank line before it.
static_assert(duplicate_note.size() + 2 == duplicate_note_units, "ASCII: a unit is a byte");
constexpr std::size_t reason_units_max = 512;
constexpr std::size_t links_shown_max = 50;
constexpr std::size_t more_links_units_max = 24;  // "\n… and 18446744073709 more"

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

// "failed while Executing KSampler (71 %)" tells the ending by itself; "CUDA out of memory" needs "Failed: " before it.
bool tells_ending(std::string_view reason) {
    return reason.starts_with("failed") || reason.starts_with("timed out") || reason.starts_with("cancelled");
}

std::string ended_badly(const News& news, std::string_view word) {
    const std::string_view reason = cut_to_units(news.reason, reason_units_max);
    std::string sentence = reason.empty()         ? std::string(word)
                           : tells_ending(reason) ? std::string(reason)
                                                  : fmt::format("{}: {}", word, reason);
    if (reason.size() < news.reason.size()) {
        sentence += "…";
    }
    if (news.duration_ms) {
        sentence += fmt::format(", after {}", duration_text(*news.duration_ms));
    }
    return sentence;
}

std::string sentence_of(const News& news) {
    const std::string took = news.duration_ms ? fmt::format(" in {}", duration_text(*news.duration_ms)) : std::string{};
    switch (news.status) {
        case EndStatus::completed: {
            if (news.kind == NewsKind::follow_up) {
                return fmt::format("here are the outputs of a run that finished{}", took);
            }
            const bool shows_something = !news.media.empty() || !news.texts.empty();
            const std::string_view lack = shows_something    ? ""
                                          : news.has_outputs ? ", but its outputs can't be shown here"
                                                             : ", no outputs";
            return fmt::format("finished{}{}", took, lack);
        }
        case EndStatus::failed:
            return ended_badly(news, "failed");
        case EndStatus::cancelled:
            return ended_badly(news, "cancelled");
    }
    return {};
}

std::string headline(const News& news) {
    std::string sentence = sentence_of(news);
    if (news.kind == NewsKind::correction) {
        return "Correction: " + sentence;
    }
    if (!sentence.empty() && sentence.front() >= 'a' && sentence.front() <= 'z') {
        sentence.front() = static_cast<char>(sentence.front() - 'a' + 'A');
    }
    return sentence;
}

// Each link on a line of its own; what does not fit is counted.
void add_links(HtmlText& text, std::span<const Medium* const> links, std::size_t left_out) {
    std::size_t shown = 0;
    while (shown < links.size() && shown < links_shown_max) {
        const Medium& link = *links[shown];
        const bool is_last = shown + 1 == links.size() && left_out == 0;
        const std::size_t reserve = is_last ? 0 : more_links_units_max;
        if (text.units_left() < count_units(link.name) + 1 + reserve) {
            break;
        }
        text.add("\n");
        (void)text.add_link(link.url, link.name);  // Fits: measured above.
        ++shown;
    }
    if (const std::size_t more = links.size() - shown + left_out; more > 0) {
        text.add(fmt::format("\n… and {} more", more));
    }
}

std::size_t units_of_links(std::span<const Medium* const> links) {
    std::size_t units = more_links_units_max;
    for (const Medium* link : links.first(std::min(links.size(), links_shown_max))) {
        units += count_units(link->name) + 1;
    }
    return units;
}

struct TextPlan {
    std::size_t units_max;
    bool may_be_duplicate;
    bool names_run;  // Nothing else tells the reader which run it is.
};

std::string write_text(const News& news, std::span<const Medium* const> links, const TextPlan& plan) {
    HtmlText text(plan.units_max - (plan.may_be_duplicate ? duplicate_note_units : 0));
    text.add(headline(news));
    if (plan.names_run && text.units_left() > news.run_id.size() + 5) {
        text.add("\nRun ");
        (void)text.add_code(news.run_id);  // Fits: a unit is at most a byte.
    }
    if (!news.texts.empty()) {
        // Half of the room is the texts' in any case, the links take what they need of the other half.
        const std::size_t links_units = links.empty() ? 0 : units_of_links(links);
        std::size_t room = text.units_left() - std::min(links_units, text.units_left() / 2);
        for (const std::string& output : news.texts) {
            if (room < 3) {
                text.add("\n…");
                break;
            }
            text.add("\n\n");
            const std::size_t before = text.units_left();
            text.add(output, room - 2);
            room -= 2 + (before - text.units_left());
        }
    }
    add_links(text, links, news.media_left_out);
    std::string html = text.take();
    if (plan.may_be_duplicate) {
        HtmlText note(duplicate_note_units);
        note.add("\n\n");
        (void)note.add_italic(duplicate_note);  // Fits, by the static_assert.
        html += note.take();
    }
    return html;
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

// What Telegram is to fetch: all photos if an album holds them, else the only medium. The rest become links.
std::vector<const Medium*> choose_media(const News& news) {
    std::vector<const Medium*> chosen;
    for (const Medium& medium : news.media) {
        if (medium.kind == MediumKind::photo) {
            chosen.push_back(&medium);
        }
    }
    if (chosen.size() > album_photos_max || news.media_left_out > 0) {
        return {};
    }
    if (chosen.empty() && news.media.size() == 1) {
        chosen.push_back(&news.media.front());
    }
    return chosen;
}

// The field that holds the medium's URL: "photo" for sendPhoto.
std::string_view media_field(Method method) noexcept {
    switch (method) {
        case Method::send_photo:
            return "photo";
        case Method::send_video:
            return "video";
        case Method::send_animation:
            return "animation";
        case Method::send_audio:
            return "audio";
        case Method::send_document:
            return "document";
        case Method::send_message:
        case Method::send_media_group:
            break;
    }
    return {};
}

using Writer = rapidjson::Writer<rapidjson::StringBuffer>;

void write_field(Writer& writer, std::string_view key, std::string_view value) {
    writer.Key(key.data(), static_cast<rapidjson::SizeType>(key.size()));
    writer.String(value.data(), static_cast<rapidjson::SizeType>(value.size()));
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

std::optional<Message> compose(const News& news, Form form, bool may_be_duplicate) {
    const bool completed = news.status == EndStatus::completed;
    if (news.kind == NewsKind::follow_up && news.media.empty() && news.texts.empty()) {
        return std::nullopt;
    }
    // What came out of a run that failed is no picture that anybody waits for.
    News told = news;
    if (!completed) {
        told.media.clear();
        told.texts.clear();
        told.media_left_out = 0;
    }
    const std::vector<const Medium*> chosen = form == Form::media ? choose_media(told) : std::vector<const Medium*>{};

    Message message;
    std::vector<const Medium*> links;
    for (const Medium& medium : told.media) {
        if (std::find(chosen.begin(), chosen.end(), &medium) == chosen.end()) {
            links.push_back(&medium);
        } else {
            message.media.push_back(medium.url);
        }
    }
    if (chosen.size() == 1) {
        message.method = method_for(chosen.front()->kind);
    } else if (chosen.size() > 1) {
        message.method = Method::send_media_group;
    }
    message.text = write_text(told, links,
                              {.units_max = message.has_media() ? caption_units_max : text_units_max,
                               .may_be_duplicate = may_be_duplicate,
                               .names_run = told.media.empty() && told.texts.empty()});
    return message;
}

std::string to_json(const Message& message, std::int64_t chat_id) {
    rapidjson::StringBuffer buffer;
    Writer writer(buffer);
    writer.StartObject();
    writer.Key("chat_id");
    writer.Int64(chat_id);
    if (message.method == Method::send_media_group) {
        writer.Key("media");
        writer.StartArray();
        for (std::size_t i = 0; i < message.media.size(); ++i) {
            writer.StartObject();
            write_field(writer, "type", "photo");
            write_field(writer, "media", message.media[i]);
            if (i == 0) {
                write_field(writer, "caption", message.text);
                write_field(writer, "parse_mode", "HTML");
            }
            writer.EndObject();
        }
        writer.EndArray();
    } else {
        if (message.has_media()) {
            write_field(writer, media_field(message.method), message.media.front());
        }
        write_field(writer, message.has_media() ? "caption" : "text", message.text);
        write_field(writer, "parse_mode", "HTML");
    }
    writer.EndObject();
    return {buffer.GetString(), buffer.GetSize()};
}

}  // namespace runledger::telegram
