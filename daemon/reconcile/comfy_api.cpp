#include "daemon/reconcile/comfy_api.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace runledger {

namespace {

LookupResult result_of(HttpResponse response) {
    // A status of 300 and more is an answer even where its body broke off, or is too long: nothing is read from it.
    if (response.end == HttpEnd::complete || response.status >= 300) {
        return ApiAnswer{.status = response.status,
                         .body = response.status == 200 ? std::move(response.body) : std::string{},
                         .retry_after = response.retry_after};
    }
    if (response.end == HttpEnd::too_large) {
        return NoAnswer{.why = "the answer has " + response.why, .is_too_large = true};
    }
    return NoAnswer{.why = std::move(response.why)};
}

}  // namespace

std::string path_segment(std::string_view run_id) {
    std::string encoded;
    for (const char c : run_id) {
        // The dot, too: a segment of dots means another folder.
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_') {
            encoded += c;
        } else {
            fmt::format_to(std::back_inserter(encoded), "%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return encoded;
}

ComfyApi::ComfyApi(const Options& options)
    : api_url_(options.api_url),
      answer_bytes_max_(options.answer_bytes_max),
      client_(
          {.timeout = options.timeout,
           .is_path_as_is = true,
           .headers = {fmt::format("Authorization: Bearer {}", options.key.reveal()), "Accept: application/json"}}) {
    while (api_url_.ends_with('/')) {
        api_url_.pop_back();
    }
}

void ComfyApi::ask(const std::string& run_id) {
    runs_.insert_or_assign(++last_ticket_, run_id);
    client_.begin({.ticket = last_ticket_,
                   .url = fmt::format("{}/run/{}", api_url_, path_segment(run_id)),
                   .response_bytes_max = answer_bytes_max_});
}

std::vector<ComfyApi::Ended> ComfyApi::drive(std::chrono::milliseconds bound) {
    std::vector<Ended> ended;
    for (HttpClient::Ended& each : client_.drive(bound)) {
        ended.push_back({std::move(runs_.at(each.ticket)), result_of(std::move(each.response))});
        runs_.erase(each.ticket);
    }
    return ended;
}

bool ComfyApi::is_in_flight(std::string_view run_id) const noexcept {
    return std::any_of(runs_.begin(), runs_.end(), [&](const auto& each) { return each.second == run_id; });
}

void ComfyApi::forget_stranded() noexcept {
    std::erase_if(runs_, [&](const auto& each) { return !client_.is_in_flight(each.first); });
}

std::vector<std::string> ComfyApi::abort_all() {
    (void)client_.abort_all();  // Without a result.
    std::vector<std::string> runs;
    for (auto& [ticket, run_id] : std::exchange(runs_, {})) {
        runs.push_back(std::move(run_id));
    }
    return runs;
}

}  // namespace runledger
