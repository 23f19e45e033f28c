#include "daemon/base/log.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <string_view>

#include "daemon/base/masked_links.hpp"

namespace runledger {
namespace {

// The message as the inside of a JSON string (RFC 8259, section 7), or kept to one line of text. Its links are masked
// here, behind every caller: PostgreSQL's error texts quote rows, and rows hold presigned links.
class EscapedMessage : public spdlog::custom_flag_formatter {
public:
    explicit EscapedMessage(bool json) : json_(json) {}

    void format(const spdlog::details::log_msg& message, const std::tm& /*time*/, spdlog::memory_buf_t& into) override {
        for (const char c : masked_links({message.payload.data(), message.payload.size()})) {
            if (static_cast<unsigned char>(c) < 0x20) {
                fmt::format_to(std::back_inserter(into), "\\u{:04x}", static_cast<unsigned>(c));
            } else if (json_ && (c == '"' || c == '\\')) {
                into.push_back('\\');
                into.push_back(c);
            } else {
                into.push_back(c);
            }
        }
    }

    [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
        return std::make_unique<EscapedMessage>(json_);
    }

private:
    bool json_;
};

}  // namespace

void start_log(const LogSettings& settings) {
    auto logger = std::make_shared<spdlog::logger>("runledgerd", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    logger->flush_on(spdlog::level::trace);
    spdlog::set_default_logger(std::move(logger));
    change_log(settings);
}

void change_log(const LogSettings& settings) {
    const std::shared_ptr<spdlog::logger> logger = spdlog::default_logger();
    const bool json = settings.format == LogFormat::json;
    auto formatter = std::make_unique<spdlog::pattern_formatter>(spdlog::pattern_time_type::utc);
    formatter->add_flag<EscapedMessage>('*', json);
    formatter->set_pattern(json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%fZ","level":"%l","message":"%*"})"
                                : "%Y-%m-%dT%H:%M:%S.%fZ %l %*");
    logger->set_formatter(std::move(formatter));  // The sink locks it.
    logger->set_level(spdlog::level::from_str(settings.level == "warn" ? "warning" : settings.level));
}

}  // namespace runledger
