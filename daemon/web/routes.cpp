#include "daemon/web/routes.hpp"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/registry.h>
#include <prometheus/summary.h>
#include <prometheus/text_serializer.h>

#include <chrono>
#include <mutex>

#include "daemon/overview/json.hpp"

namespace runledger::web {
namespace {

// What prometheus-cpp's own exposer counts of itself, by the same names.
class Scrapes {
public:
    explicit Scrapes(std::shared_ptr<prometheus::Collectable> collectable)
        : collectable_(std::move(collectable)),
          bytes_(prometheus::BuildCounter()
                     .Name("exposer_transferred_bytes_total")
                     .Help("Transferred bytes to metrics services")
                     .Register(registry_)
                     .Add({})),
          scrapes_(prometheus::BuildCounter()
                       .Name("exposer_scrapes_total")
                       .Help("Number of times metrics were scraped")
                       .Register(registry_)
                       .Add({})),
          latencies_(prometheus::BuildSummary()
                         .Name("exposer_request_latencies")
                         .Help("Latencies of serving scrape requests, in microseconds")
                         .Register(registry_)
                         .Add({}, prometheus::Summary::Quantiles{{0.5, 0.05}, {0.9, 0.01}, {0.99, 0.001}})) {}

    [[nodiscard]] Answer answer() {
        const std::lock_guard lock(mutex_);  // One scrape at a time, as with the exposer.
        const auto begun = std::chrono::steady_clock::now();
        auto families = registry_.Collect();
        auto ours = collectable_->Collect();
        families.insert(families.end(), std::make_move_iterator(ours.begin()), std::make_move_iterator(ours.end()));
        Answer answer{.type = "text/plain; charset=utf-8", .body = prometheus::TextSerializer().Serialize(families)};
        bytes_.Increment(static_cast<double>(answer.body.size()));
        scrapes_.Increment();
        latencies_.Observe(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begun).count());
        return answer;
    }

private:
    std::mutex mutex_;
    std::shared_ptr<prometheus::Collectable> collectable_;
    prometheus::Registry registry_;
    prometheus::Counter& bytes_;
    prometheus::Counter& scrapes_;
    prometheus::Summary& latencies_;
};

bool wants_json(const Request& request) {
    const std::string format = request.parameter("format");
    return format == "json" ||
           (format.empty() && request.header("accept").find("application/json") != std::string_view::npos);
}

std::string health_text(const Health& health) {
    std::string text = fmt::format("{}: {}\n", word_of(health.verdict), health.sentence);
    for (const Component& component : health.components) {
        text += fmt::format("{}: {}: {}{}{}\n", component.name, word_of(component.condition), component.says,
                            component.cure.empty() ? "" : "; ", component.cure);
    }
    return text;
}

Answer in_form(const Request& request, bool is_good, const Health& health, const std::optional<WorkRates>& rates,
               std::string text) {
    Answer answer{.status = is_good ? 200 : 503, .headers = {{"Cache-Control", "no-store"}}};
    if (wants_json(request)) {
        answer.type = "application/json";
        answer.body = health_json(health, rates) + "\n";
    } else {
        answer.body = std::move(text);
    }
    return answer;
}

}  // namespace

Route metrics_route(std::shared_ptr<prometheus::Collectable> collectable) {
    return {"/metrics", [scrapes = std::make_shared<Scrapes>(std::move(collectable))](const Request&) {
                return scrapes->answer();
            }};
}

std::vector<Route> health_routes(AskHealth facts, AskRates rates) {
    return {{"/healthz",
             [facts](const Request& request) {
                 const Health health = judge(facts());
                 return in_form(request, health.is_alive, health, std::nullopt,
                                health.is_alive ? "alive\n" : health_text(health));
             }},
            {"/readyz", [facts, rates = std::move(rates)](const Request& request) {
                 const Health health = judge(facts());
                 return in_form(request, health.verdict != Verdict::stopped, health, rates(), health_text(health));
             }}};
}

}  // namespace runledger::web
