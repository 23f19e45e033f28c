#include "nginx-module/webhook/problem.hpp"

#include <stdexcept>

#include "common/limits.hpp"

namespace runledger::edge {

Problem problem_of(const Refusal& refusal) {
    std::string detail{describe(refusal.fault)};
    if (refusal.offset > 0) {
        detail += ", at byte " + std::to_string(refusal.offset);
    }
    return {RequestOutcome::refused_json, 400, to_word(refusal.fault), "The body holds no event", std::move(detail)};
}

Problem problem_of(RequestOutcome outcome) {
    static_assert(body_bytes_max == 8UL * 1024 * 1024, "the sentence below says 8 MiB");
    switch (outcome) {
        case RequestOutcome::refused_token:
            return {outcome, 401, "token_refused", "The token is missing or wrong",
                    "the webhook's URL must contain a token that the receiver accepts"};
        case RequestOutcome::refused_method:
            return {outcome, 405, "method_not_allowed", "The method is not allowed",
                    "an event comes as POST, or as GET with a body if it is sent again"};
        case RequestOutcome::refused_size:
            return {outcome, 413, "body_too_large", "The body is too large", "a body has at most 8 MiB"};
        case RequestOutcome::refused_type:
            return {outcome, 415, "content_type_not_json", "The content type is not application/json",
                    "an event's content type is application/json"};
        case RequestOutcome::spool_full:
            return {outcome, 503, "spool_full", "The spool is full",
                    "the event may not have been stored; send it again"};
        case RequestOutcome::over_bound:
            return {outcome, 503, "over_bound", "Too many events are held", "the event was not stored; send it again"};
        case RequestOutcome::timeout:
            return {outcome, 503, "not_stored_in_time", "The event could not be stored in time",
                    "the event may not have been stored; send it again"};
        case RequestOutcome::body_unreadable:
            return {outcome, 503, "body_unreadable", "The body could not be read back",
                    "the event was not stored; send it again"};
        case RequestOutcome::failed:
            return {outcome, 503, "failed", "The receiver failed", "the event may not have been stored; send it again"};
        case RequestOutcome::none:
        case RequestOutcome::accepted:
        case RequestOutcome::redelivered:
        case RequestOutcome::refused_json:
        case RequestOutcome::client_gone:
        case RequestOutcome::refused_by_nginx:
            break;
    }
    throw std::logic_error("no problem document for this outcome");
}

std::string to_document(const Problem& problem) {
    std::string document;
    document.reserve(256);
    document += R"({"type":"urn:runledger:problem:)";
    document += problem.word;
    document += R"(","title":")";
    document += problem.title;
    document += R"(","status":)";
    document += std::to_string(problem.http_status);
    document += R"(,"detail":")";
    document += problem.detail;
    document += "\"}\n";
    return document;
}

}  // namespace runledger::edge
