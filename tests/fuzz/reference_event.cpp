#include "tests/fuzz/reference_event.hpp"

#include <map>
#include <nlohmann/json.hpp>

#include "common/limits.hpp"

namespace runledger::fuzz {
namespace {

enum class Kind : std::uint8_t { string, number, null, object, array, boolean };

// The last value of a key: its kind, and what is kept of it.
struct Value {
    Kind kind{};
    std::string text{};      // Of a string.
    double number{};         // Of a number.
    bool is_unusual{false};  // A number that the edge may mask, or that stands for none.
};

using Values = std::map<std::string, Value, std::less<>>;

// Reads the body as it streams by, keeps the last value of each key of the root and of each output, and stops where
// the edge must: at a root that is no object, and at a level too many.
class EventReader : public nlohmann::json::json_sax_t {
public:
    bool null() override { return on_value({.kind = Kind::null}); }
    bool boolean(bool /*value*/) override { return on_value({.kind = Kind::boolean}); }
    bool number_integer(std::int64_t value) override {
        return on_value({.kind = Kind::number, .number = static_cast<double>(value)});
    }
    bool number_unsigned(std::uint64_t value) override {
        return on_value({.kind = Kind::number, .number = static_cast<double>(value)});
    }
    bool number_float(double value, const std::string& text) override {
        return on_value(
            {.kind = Kind::number, .number = value, .is_unusual = is_unusual_number(text) || is_stand_in(text)});
    }
    bool string(std::string& value) override { return on_value({.kind = Kind::string, .text = value}); }
    bool binary(nlohmann::json::binary_t& /*value*/) override { return false; }  // Never in text.
    bool start_object(std::size_t /*elements*/) override {
        const bool is_output = (path_.size() == 1 && keys_.front() == "outputs") ||
                               (path_.size() == 2 && path_.back() == Kind::array && keys_.front() == "outputs");
        if (!open(Kind::object)) {
            return false;
        }
        if (is_output) {
            outputs_.emplace_back();
            output_depth_ = path_.size();
        }
        return true;
    }
    bool start_array(std::size_t /*elements*/) override { return open(Kind::array); }
    bool end_object() override {
        if (path_.size() == output_depth_) {
            output_depth_ = 0;
        }
        return close();
    }
    bool end_array() override { return close(); }
    bool key(std::string& key) override {
        keys_.back() = key;
        if (path_.size() == 1 && key == "outputs") {
            outputs_.clear();  // The last `outputs` counts, as a whole.
        }
        return true;
    }
    bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                     const nlohmann::detail::exception& /*error*/) override {
        fault_ = EventFault::body_not_json;
        return false;
    }

    [[nodiscard]] ReferenceResult result() const {
        if (fault_) {
            return {.fault = fault_, .event = {}};
        }
        const auto run_id = root_.find("run_id");
        const auto status = root_.find("status");
        if (run_id == root_.end()) {
            return {.fault = EventFault::run_id_missing, .event = {}};
        }
        if (run_id->second.kind != Kind::string) {
            return {.fault = EventFault::run_id_not_string, .event = {}};
        }
        if (run_id->second.text.empty()) {
            return {.fault = EventFault::run_id_empty, .event = {}};
        }
        if (run_id->second.text.size() > run_id_bytes_max) {
            return {.fault = EventFault::run_id_too_long, .event = {}};
        }
        if (status == root_.end()) {
            return {.fault = EventFault::status_missing, .event = {}};
        }
        if (status->second.kind != Kind::string) {
            return {.fault = EventFault::status_not_string, .event = {}};
        }
        return {.fault = std::nullopt, .event = event()};
    }

private:
    static std::string text_or(const Values& values, std::string_view key, const char* otherwise) {
        const auto found = values.find(key);
        return found != values.end() && found->second.kind == Kind::string ? found->second.text : otherwise;
    }

    [[nodiscard]] ReferenceEvent event() const {
        ReferenceEvent event;
        event.run_id = text_or(root_, "run_id", "");
        event.status_word = text_or(root_, "status", "");
        event.event_type = text_or(root_, "event_type", "run.updated");
        event.live_status = text_or(root_, "live_status", "");
        event.error = text_or(root_, "error", "");
        if (event.error.empty()) {
            event.error = text_or(root_, "error_details", "");
        }
        if (const auto progress = root_.find("progress"); progress != root_.end()) {
            event.may_lack_progress = progress->second.is_unusual;
            if (progress->second.kind == Kind::number) {
                event.progress = progress->second.number;
            }
        }
        if (const auto outputs = root_.find("outputs"); outputs != root_.end()) {
            event.may_pass_for_null = outputs->second.is_unusual;
            switch (outputs->second.kind) {
                case Kind::null:
                    event.outputs_shape = OutputsShape::null;
                    break;
                case Kind::array:
                    event.outputs_shape = OutputsShape::array;
                    break;
                case Kind::object:
                    event.outputs_shape = OutputsShape::object;
                    break;
                case Kind::string:
                case Kind::number:
                case Kind::boolean:
                    event.outputs_shape = OutputsShape::other;
                    break;
            }
        }
        for (const Values& output : outputs_) {
            event.outputs.push_back({.id = text_or(output, "id", ""), .updated_at = text_or(output, "updated_at", "")});
        }
        return event;
    }

    bool open(Kind kind) {
        if (path_.size() == json_depth_max) {
            fault_ = EventFault::body_too_deep;
            return false;
        }
        if (path_.empty() && kind == Kind::array) {
            fault_ = EventFault::body_not_object;
            return false;
        }
        keep({.kind = kind});
        path_.push_back(kind);
        keys_.emplace_back();
        return true;
    }

    bool close() {
        path_.pop_back();
        keys_.pop_back();
        return true;
    }

    bool on_value(const Value& value) {
        if (path_.empty()) {
            fault_ = EventFault::body_not_object;
            return false;
        }
        keep(value);
        return true;
    }

    void keep(const Value& value) {
        if (path_.size() == 1) {
            root_[keys_.back()] = value;
        } else if (output_depth_ != 0 && path_.size() == output_depth_) {
            outputs_.back()[keys_.back()] = value;
        }
    }

    std::vector<Kind> path_;         // What is open, from the root.
    std::vector<std::string> keys_;  // The last key in each of it.
    Values root_;
    std::vector<Values> outputs_;
    std::size_t output_depth_{0};  // How long the path is inside the output that is open; 0: none is.
    std::optional<EventFault> fault_;
};

}  // namespace

ReferenceResult read_reference(std::string_view rfc8259_text) {
    EventReader reader;
    nlohmann::json::sax_parse(rfc8259_text, &reader);
    return reader.result();
}

}  // namespace runledger::fuzz
