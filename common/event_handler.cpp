#include "common/event_handler.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "common/beyond_parser.hpp"
#include "common/limits.hpp"

namespace runledger {

bool EventHandler::Key(const char* text, rapidjson::SizeType length, bool /*copy*/) {
    const std::string_view key(text, length);
    if (depth_ == 1) {
        key_ = find_top_key(key, parts_);
        if (key_ == TopKey::outputs) {
            event_.outputs.clear();
        }
    } else if (depth_ == output_depth_) {
        output_key_ = key == "id" ? OutputKey::id : key == "updated_at" ? OutputKey::updated_at : OutputKey::other;
    }
    return true;
}

bool EventHandler::StartObject() {
    if (!accept_nested()) {
        return false;
    }
    if (depth_ == 1 && key_ == TopKey::outputs) {
        on_value(OutputsShape::object);
        open_output();
    } else if (depth_ == 2 && in_outputs_array_) {
        open_output();
    } else {
        on_value(OutputsShape::object);
    }
    ++depth_;
    return true;
}

bool EventHandler::EndObject(rapidjson::SizeType /*members*/) {
    if (output_depth_ != 0 && depth_ == output_depth_) {
        // Called with the closing brace still to be taken.
        event_.outputs.back().json = body_.substr(output_begin_, stream_.Tell() + 1 - output_begin_);
        output_depth_ = 0;
    }
    --depth_;
    return true;
}

bool EventHandler::StartArray() {
    if (!accept_nested()) {
        return false;
    }
    on_value(OutputsShape::array);
    if (depth_ == 1) {
        in_outputs_array_ = key_ == TopKey::outputs;
    }
    ++depth_;
    return true;
}

bool EventHandler::EndArray(rapidjson::SizeType /*elements*/) {
    --depth_;
    if (depth_ == 1) {
        in_outputs_array_ = false;
    }
    return true;
}

std::optional<EventFault> EventHandler::finish() {
    if (!run_id_seen_) {
        return EventFault::run_id_missing;
    }
    if (!run_id_is_string_) {
        return EventFault::run_id_not_string;
    }
    if (event_.run_id.empty()) {
        return EventFault::run_id_empty;
    }
    if (event_.run_id.size() > run_id_bytes_max) {
        return EventFault::run_id_too_long;
    }
    if (!status_seen_) {
        return EventFault::status_missing;
    }
    if (!status_is_string_) {
        return EventFault::status_not_string;
    }
    if (event_.error.empty()) {
        event_.error = std::move(error_details_);
    }
    event_.status = find_run_status(event_.status_word);
    return std::nullopt;
}

EventHandler::TopKey EventHandler::find_top_key(std::string_view key, EventParts parts) {
    static constexpr std::array<std::pair<std::string_view, TopKey>, 8> keys{{
        {"run_id", TopKey::run_id},
        {"status", TopKey::status},
        {"event_type", TopKey::event_type},
        {"live_status", TopKey::live_status},
        {"progress", TopKey::progress},
        {"error", TopKey::error},
        {"error_details", TopKey::error_details},
        {"outputs", TopKey::outputs},
    }};
    constexpr std::size_t summary_keys = 2;
    const auto* end = parts == EventParts::summary ? keys.begin() + summary_keys : keys.end();
    const auto* found = std::find_if(keys.begin(), end, [&](const auto& entry) { return entry.first == key; });
    return found == end ? TopKey::other : found->second;
}

bool EventHandler::accept_value() {
    if (depth_ == 0) {
        fault_ = EventFault::body_not_object;
        return false;
    }
    return true;
}

bool EventHandler::accept_nested() {
    if (depth_ >= json_depth_max) {
        fault_ = EventFault::body_too_deep;
        return false;
    }
    // At the root only StartObject may pass; an array there is seen as one by its key being `none`.
    if (depth_ == 0 && stream_.Peek() != '{') {
        fault_ = EventFault::body_not_object;
        return false;
    }
    return true;
}

void EventHandler::open_output() {
    if (parts_ == EventParts::summary) {
        return;
    }
    event_.outputs.emplace_back();
    output_begin_ = stream_.Tell();  // Called with the opening brace still to be taken.
    output_depth_ = depth_ + 1;
    output_key_ = OutputKey::other;
}

void EventHandler::on_value(OutputsShape shape) {
    if (output_depth_ != 0 && depth_ == output_depth_) {
        switch (output_key_) {
            case OutputKey::id:
                event_.outputs.back().id.clear();
                break;
            case OutputKey::updated_at:
                event_.outputs.back().updated_at.clear();
                break;
            case OutputKey::other:
                break;
        }
    }
    if (depth_ != 1) {
        return;
    }
    switch (key_) {
        case TopKey::run_id:
            run_id_seen_ = true;
            run_id_is_string_ = false;
            break;
        case TopKey::status:
            status_seen_ = true;
            status_is_string_ = false;
            break;
        case TopKey::event_type:
            event_.event_type = "run.updated";
            break;
        case TopKey::live_status:
            event_.live_status.clear();
            break;
        case TopKey::progress:
            event_.progress.reset();
            break;
        case TopKey::error:
            event_.error.clear();
            break;
        case TopKey::error_details:
            error_details_.clear();
            break;
        case TopKey::outputs:
            event_.outputs_shape = shape;
            break;
        case TopKey::none:
        case TopKey::other:
            break;
    }
}

bool EventHandler::is_misread_constant() const {
    const std::string_view taken = body_.substr(0, stream_.Tell());
    const std::size_t before = taken.find_last_not_of("0123456789+-.eE");
    if (before == std::string_view::npos) {
        return false;
    }
    if (before + 1 != taken.size()) {
        return std::string_view("Nfy").find(taken[before]) != std::string_view::npos;
    }
    for (const std::string_view word : {"Infinity", "Inf"}) {
        if (taken.ends_with(word)) {
            const std::string_view front = taken.substr(0, taken.size() - word.size());
            return front.ends_with('N') || front.ends_with('a');
        }
    }
    return false;
}

bool EventHandler::on_number(double value) {
    on_value(OutputsShape::other);
    if (depth_ == 1 && key_ == TopKey::progress && std::isfinite(value)) {
        event_.progress = value;
    }
    return accept_value();
}

void EventHandler::on_string(const char* text, std::size_t length) {
    on_value(OutputsShape::other);
    if (depth_ == 1) {
        switch (key_) {
            case TopKey::run_id:
                event_.run_id = to_utf8(text, length);
                run_id_is_string_ = true;
                break;
            case TopKey::status:
                event_.status_word = to_utf8(text, length);
                status_is_string_ = true;
                break;
            case TopKey::event_type:
                event_.event_type = to_utf8(text, length);
                break;
            case TopKey::live_status:
                event_.live_status = to_utf8(text, length);
                break;
            case TopKey::error:
                event_.error = to_utf8(text, length);
                break;
            case TopKey::error_details:
                error_details_ = to_utf8(text, length);
                break;
            case TopKey::none:
            case TopKey::progress:
            case TopKey::outputs:
            case TopKey::other:
                break;
        }
    } else if (output_depth_ != 0 && depth_ == output_depth_) {
        switch (output_key_) {
            case OutputKey::id:
                event_.outputs.back().id = to_utf8(text, length);
                break;
            case OutputKey::updated_at:
                event_.outputs.back().updated_at = to_utf8(text, length);
                break;
            case OutputKey::other:
                break;
        }
    }
}

}  // namespace runledger
