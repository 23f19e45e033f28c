#include "nginx-module/webhook/problem.hpp"

#include <stdexcept>

#include "common/limits.hpp"

namespace runledger::edge {

Problem problem_of(const Refusal& refusal) {
    std::string detail{describe(refusal.fault)};
    if (refusal.offset > 0) {
        detail += ", at byte " + std::to_string(refusal.offset);
    }
    return {Outcome::refused_json, 400, to_word(refusal.fault), "The body holds no event", std::move(detail)};
}

Problem problem_of(Outcome outcome) {
    static_assert(body_bytes_max == 8UL * 1024 * 1024, "the sentence below says 8 MiB");
    switch (outcome) {
        case Outcome::refused_token:
            return {outcome, 401, "token_refused", "The token is missing or wrong",
                    "the webhook's URL must contain a token that the receiver accepts"};
        case Outcome::refused_method:
            return {outcome, 405, "method_not_allowed", "The method is not allowed",
                    "an event comes as POST, or as GET with a body if it is sent again"};
        case Outcome::refused_size:
            return {outcome, 413, "body_too_large", "The body is too large", "a body has at most 8 MiB"};
        case Outcome::refused_type:
            return {outcome, 415, "content_type_not_json", "The content type is not application/json",
                    "an event's content type is application/json"};
        case Outcome::spool_full:
            return {outcome, 503, "spool_full", "The spool is full",
                    "the event may not have been stored; send it again"};
        case Outcome::over_bound:
            return {outcome, 503, "over_bound", "Too many events are held", "the event was not stored; send it again"};
        case Outcome::timeout:
            return {outcome, 503, "not_stored_in_time", "The event could not be stored in time",
                    "the event may not have been stored; send it again"};
        case Outcome::body_unreadable:
            return {outcome, 503, "body_unreadable", "The body could not be read back",
                    "the event was not stored; send it again"};
        case Outcome::failed:
            return {outcome, 503, "failed", "The receiver failed", "the event may not have been stored; send it again"};
        case Outcome::none:
        case Outcome::accepted:
        case Outcome::redelivered:
        case Outcome::refused_json:
        case Outcome::client_gone:
        case Outcome::refused_by_nginx:
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
