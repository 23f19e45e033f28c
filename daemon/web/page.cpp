#include "daemon/web/page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "daemon/overview/words.hpp"
#include "daemon/web/frame.hpp"
#include "daemon/web/plot.hpp"

namespace runledger::web {
namespace {

constexpr auto dash = "–";

std::string age_of(std::int64_t seconds) { return in_words(std::chrono::seconds{seconds}); }

// ---- the verdict

Markup chip(const Component& component) {
    Html html;
    html.put("<li class=\"chip {}\" title=\"{}\"><i></i>{}</li>", word_of(component.condition), component.says,
             component.name);
    return std::move(html).take();
}

Markup verdict_of(const PageFacts& facts) {
    Html html;
    html.put("<section class=\"verdict {}\" aria-live=\"polite\"><h1><i></i>{}</h1>", word_of(facts.health.verdict),
             facts.health.sentence);
    html.put("<ul class=\"chips\">");
    for (const Component& component : facts.health.components) {
        html.put("{}", chip(component));
    }
    html.put("</ul>");
    bool has_list = false;
    for (const Component& component : facts.health.components) {
        if (component.condition != Condition::degraded && component.condition != Condition::failed) {
            continue;
        }
        if (!has_list) {
            html.put("<dl class=\"faults\">");
            has_list = true;
        }
        html.put("<div><dt>{}</dt><dd>{}.{}</dd></div>", component.name, component.says,
                 component.cure.empty() ? "" : " To do: " + component.cure + ".");
    }
    if (has_list) {
        html.put("</dl>");
    }
    html.put("</section>");
    return std::move(html).take();
}

template <class Value>
Markup notice_of(const Kept<Value>& kept, std::string_view of_what) {
    Html html;
    if (!kept.error.empty() && kept.value) {
        html.put("<p class=\"notice\">{}. {} are from {} ago.</p>", kept.error, of_what,
                 in_words(kept.age.value_or(std::chrono::seconds{0})));
    } else if (!kept.error.empty()) {
        html.put("<p class=\"notice\">{}. {} could not be read yet.</p>", kept.error, of_what);
    }
    return std::move(html).take();
}

// ---- now

Markup rate_tile(const PageFacts& facts) {
    const WorkRates& rates = facts.rates;
    Html html;
    html.put("<article class=\"tile\"><h2>Events</h2><p class=\"figure\">{}</p>", as_rate(rates.events));
    html.put("{}", plot_of_minutes(rates.events_by_minute));
    html.put("<dl class=\"pairs\"><div><dt>in the last hour</dt><dd>{}</dd></div>",
             in_groups(static_cast<std::int64_t>(rates.events_of_hour)));
    html.put("<div><dt>settled</dt><dd>{}</dd></div><div><dt>messages</dt><dd>{}</dd></div></dl></article>",
             as_rate(rates.settlements), as_rate(rates.messages));
    return std::move(html).take();
}

// Its place among the colours of page.css.
std::string_view colour_of(std::string_view status) {
    return status == "not-started" ? "s0"
           : status == "queued"    ? "s1"
           : status == "started"   ? "s2"
           : status == "running"   ? "s3"
           : status == "uploading" ? "s4"
                                   : "s5";
}

Markup in_flight_tile(const Kept<LiveNumbers>& live) {
    Html html;
    html.put("<article class=\"tile\"><h2>Runs in flight</h2>");
    if (!live.value) {
        html.put("<p class=\"figure\">{}</p></article>", dash);
        return std::move(html).take();
    }
    std::int64_t all = 0;
    for (const RunsInFlight& runs : live.value->in_flight) {
        all += runs.runs;
    }
    html.put("<p class=\"figure\">{}{}</p>", in_groups(all), live.value->in_flight_is_cut ? " or more" : "");
    html.put(
        "<svg class=\"stack\" viewBox=\"0 0 300 10\" preserveAspectRatio=\"none\" role=\"img\" "
        "aria-label=\"Runs in flight by state\">");
    if (all == 0) {
        html.put("<rect class=\"none\" x=\"0\" y=\"0\" width=\"300\" height=\"10\"></rect>");
    }
    double x = 0;
    for (const RunsInFlight& runs : live.value->in_flight) {
        const double width = 300.0 * static_cast<double>(runs.runs) / static_cast<double>(all);
        html.put("<rect class=\"{}\" x=\"{:.1f}\" y=\"0\" width=\"{:.1f}\" height=\"10\"></rect>",
                 colour_of(runs.status), x, width);
        x += width;
    }
    html.put("</svg>");
    if (all == 0) {
        const auto& latest = live.value->latest_seconds;
        html.put("<p class=\"aside\">{}</p></article>",
                 latest ? "None. The last event came " + age_of(*latest) + " ago." : "None, and none ended lately.");
        return std::move(html).take();
    }
    html.put("<ul class=\"legend\">");
    for (const RunsInFlight& runs : live.value->in_flight) {
        html.put("<li><i class=\"{}\"></i>{} <b>{}</b></li>", colour_of(runs.status), runs.status,
                 in_groups(runs.runs));
    }
    html.put("</ul></article>");
    return std::move(html).take();
}

Markup lag_tile(const Kept<LiveNumbers>& live) {
    Html html;
    html.put("<article class=\"tile\"><h2>From receipt to settled</h2>");
    if (!live.value || live.value->settle_lag.runs == 0) {
        html.put("<p class=\"figure\">{}</p><p class=\"aside\">{}</p></article>", dash,
                 live.value ? "Nothing was settled within an hour." : "");
        return std::move(html).take();
    }
    const Lag& settle = live.value->settle_lag;
    const Lag& commit = live.value->commit_lag;
    html.put("<p class=\"figure\">{}</p><dl class=\"pairs\">", in_seconds(settle.median));
    html.put("<div><dt>95 of 100 within</dt><dd>{}</dd></div>", in_seconds(settle.high));
    html.put("<div><dt>slowest</dt><dd>{}</dd></div>", in_seconds(settle.highest));
    html.put("<div><dt>receipt to commit</dt><dd>{}</dd></div></dl>",
             commit.runs > 0 ? in_seconds(commit.median) : std::string(dash));
    html.put("<p class=\"aside\">Median of the last {} within an hour</p></article>", counted(settle.runs, "run"));
    return std::move(html).take();
}

Markup waiting_tile(const Kept<LiveNumbers>& live) {
    Html html;
    html.put("<article class=\"tile\"><h2>Waiting</h2>");
    if (!live.value) {
        html.put("<p class=\"figure\">{}</p></article>", dash);
        return std::move(html).take();
    }
    const LiveNumbers& now = *live.value;
    html.put("<p class=\"figure\">{}</p><dl class=\"pairs\">",
             in_groups(now.unsettled + now.messages_pending + now.webhooks_pending));
    html.put("<div><dt>to settle</dt><dd>{}</dd></div>",
             now.unsettled == 0 ? "0" : in_groups(now.unsettled) + ", oldest " + age_of(now.unsettled_oldest_seconds));
    html.put("<div><dt>messages to send</dt><dd>{}</dd></div>",
             now.messages_pending == 0
                 ? "0"
                 : in_groups(now.messages_pending) + ", oldest " + age_of(now.messages_oldest_seconds));
    html.put("<div><dt>webhooks to post</dt><dd>{}</dd></div>",
             now.webhooks_pending == 0
                 ? "0"
                 : in_groups(now.webhooks_pending) + ", oldest " + age_of(now.webhooks_oldest_seconds));
    html.put("<div><dt>being sent</dt><dd>{}</dd></div>", in_groups(now.messages_leased + now.webhooks_leased));
    html.put("<div><dt>given up within a day</dt><dd>{}</dd></div></dl></article>",
             in_groups(now.messages_dead + now.messages_uncertain + now.webhooks_dead));
    return std::move(html).take();
}

// ---- the edges

Markup edge_row(const EdgeNumbers& edge) {
    Html html;
    if (!edge.error.empty()) {
        html.put(
            "<li class=\"edge\"><p><b>{}</b> <span class=\"tag failed\">no answer</span></p>"
            "<p class=\"reason\">{}</p></li>",
            edge.name, edge.error);
        return std::move(html).take();
    }
    const double share = spool_share(edge);
    html.put("<li class=\"edge\"><p><b>{}</b> <span>{} of {}</span></p>", edge.name, in_bytes(spool_bytes_used(edge)),
             in_bytes(edge.spool_bytes_max));
    html.put(
        "<svg viewBox=\"0 0 300 6\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"Spool\">"
        "<rect class=\"track\" width=\"300\" height=\"6\"></rect>"
        "<rect class=\"bar {}\" width=\"{:.1f}\" height=\"6\"></rect></svg>",
        share > spool_share_max ? "full" : "", 300 * std::min(share, 1.0));
    html.put("<small>{} not committed yet{} · {} held · {} accepted, {} refused</small></li>",
             edge.spool_batches == 1 ? "1 batch" : in_groups(edge.spool_batches) + " batches",
             edge.spool_kept_bytes == 0 ? "" : " · " + in_bytes(edge.spool_kept_bytes) + " kept",
             in_groups(edge.held_events), in_groups(edge.accepted), in_groups(edge.refused));
    return std::move(html).take();
}

Markup edge_section(const Kept<std::vector<EdgeNumbers>>& edges) {
    Html html;
    html.put("<article class=\"card\"><header><h2>Spool of each edge</h2></header>");
    if (!edges.value || edges.value->empty()) {
        html.put(
            "<p class=\"empty\">No edge is named. Add the addresses of their <code>runledger_status</code> "
            "locations to <code>[page] edges</code>.</p></article>");
        return std::move(html).take();
    }
    html.put("<ul class=\"edges\">");
    for (const EdgeNumbers& edge : *edges.value) {
        html.put("{}", edge_row(edge));
    }
    html.put("</ul></article>");
    return std::move(html).take();
}

// ---- the month

Markup table_of_days(const MonthNumbers& month) {
    Html html;
    html.put(
        "<details><summary>As a table</summary><table><thead><tr><th>day</th><th class=\"n\">generations</th>"
        "<th class=\"n\">failed</th><th class=\"n\">without cost</th><th class=\"n\">USD, exact</th></tr></thead>"
        "<tbody>");
    for (const auto& day : month.days) {
        if (day.generations > 0) {
            html.put(
                "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
                "<td class=\"n\">{}</td></tr>",
                day.date, in_groups(day.generations), in_groups(day.failed), in_groups(day.unpriced),
                day.cost_usd.value_or(dash));
        }
    }
    html.put("</tbody></table></details>");
    return std::move(html).take();
}

Markup month_section(const Kept<MonthNumbers>& kept, const Markup& edges) {
    Html html;
    html.put("<section class=\"month\"><article class=\"card\"><header><h2>Cost this month</h2>");
    if (!kept.value) {
        html.put(
            "</header>{}<p class=\"empty\">The month is being added up.</p></article>"
            "<div class=\"beside\">{}</div></section>",
            notice_of(kept, "The month's numbers"), edges);
        return std::move(html).take();
    }
    const MonthNumbers& month = *kept.value;
    std::int64_t generations = 0;
    std::int64_t failed = 0;
    std::int64_t unpriced = 0;
    for (const auto& day : month.days) {
        generations += day.generations;
        failed += day.failed;
        unpriced += day.unpriced;
    }
    html.put("</header><p class=\"figure\" title=\"{} USD\">{}</p>", month.cost_usd.value_or("no known cost"),
             month.cost_usd ? "$" + short_dollars(*month.cost_usd) : std::string("$0.00"));
    html.put("{}", notice_of(kept, "The month's numbers"));
    if (generations == 0) {
        html.put(
            "<p class=\"empty\">Nothing has ended this month. Each day with an ending gets a bar here.</p></article>");
    } else {
        html.put("<p class=\"aside\">{}, {} failed{} · days of {}</p>", counted(generations, "generation"),
                 in_groups(failed),
                 unpriced == 0 ? "" : fmt::format(", {} completed without a known cost (dots)", in_groups(unpriced)),
                 month.zone);
        html.put("{}{}</article>", plot_of_days(month), table_of_days(month));
    }

    html.put("<div class=\"beside\"><article class=\"card\"><header><h2>By GPU</h2></header>");
    if (month.gpus.empty()) {
        html.put("<p class=\"empty\">Nothing has ended this month.</p>");
    }
    double widest = 0;
    for (const auto& gpu : month.gpus) {
        widest = std::max(widest, gpu.width);
    }
    html.put("<ol class=\"gpus\">");
    for (const auto& gpu : month.gpus) {
        html.put("<li><span class=\"name\">{}</span><b>{}</b>", gpu.gpu.empty() ? "not named" : gpu.gpu,
                 gpu.cost_usd ? "$" + short_dollars(*gpu.cost_usd) : std::string(dash));
        html.put(
            "<svg viewBox=\"0 0 300 6\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"track\" "
            "width=\"300\" height=\"6\"></rect><rect class=\"bar\" width=\"{:.1f}\" height=\"6\"></rect></svg>",
            widest > 0 ? 300 * gpu.width / widest : 0.0);
        html.put("<small>{}{}</small></li>", counted(gpu.generations, "generation"),
                 gpu.unpriced == 0 ? "" : fmt::format(", {} without cost", in_groups(gpu.unpriced)));
    }
    html.put("</ol></article>{}</div></section>", edges);
    return std::move(html).take();
}

// ---- what to deal with

Markup trouble_row(const Trouble& trouble) {
    Html html;
    html.put("<li><span class=\"tag {}\">{}</span><div><p>", trouble.what, trouble.what);
    if (trouble.run_id.empty()) {
        html.put("<b>{}</b>", trouble.name);
    } else {
        html.put("<a href=\"/search?q={}\">{}</a>", url_word(trouble.run_id), trouble.name);
    }
    if (!trouble.at.empty()) {
        html.put(" <time>{} UTC</time>", trouble.at);
    }
    html.put("</p>");
    if (!trouble.reason.empty()) {
        html.put("<p class=\"reason\">{}</p>", trouble.reason);
    }
    html.put("</div>");
    if (!trouble.command.empty()) {
        html.put("<code>{}</code>", trouble.command);
    }
    html.put("</li>");
    return std::move(html).take();
}

Markup trouble_section(const Overview::Numbers& numbers) {
    std::vector<Trouble> troubles;
    if (numbers.live.value) {
        troubles = numbers.live.value->troubles;
    }
    if (numbers.month.value) {
        std::ranges::copy(numbers.month.value->troubles, std::back_inserter(troubles));
    }
    Html html;
    html.put("<section class=\"card troubles\" id=\"troubles\"><header><h2>To deal with</h2>");
    if (numbers.live.value && numbers.live.value->quarantined > 0) {
        html.put("<p class=\"aside\">{} in quarantine</p>", in_groups(numbers.live.value->quarantined));
    }
    html.put("</header>");
    if (troubles.empty()) {
        html.put("<p class=\"empty\">{}</p></section>",
                 numbers.live.value ? "Nothing. No message is dead, nothing is in quarantine, every cost is known."
                                    : "Not read yet.");
        return std::move(html).take();
    }
    html.put("<ul class=\"rows\">");
    for (const Trouble& trouble : troubles) {
        html.put("{}", trouble_row(trouble));
    }
    html.put("</ul></section>");
    return std::move(html).take();
}

Markup failed_section(const Kept<LiveNumbers>& live) {
    Html html;
    html.put("<article class=\"card failures\"><header><h2>Last failed runs</h2></header>");
    if (!live.value || live.value->failed_runs.empty()) {
        html.put("<p class=\"empty\">{}</p></article>", live.value ? "None within a week." : "Not read yet.");
        return std::move(html).take();
    }
    html.put("<ul class=\"rows\">");
    for (const Trouble& failed : live.value->failed_runs) {
        html.put("{}", trouble_row(failed));
    }
    html.put("</ul></article>");
    return std::move(html).take();
}

Markup numbers_markup(const PageFacts& facts) {
    const Overview::Numbers& numbers = facts.numbers;
    Html html;
    html.put("<div id=\"numbers\" data-title=\"{}\">", facts.health.sentence);
    html.put("{}{}", verdict_of(facts), notice_of(numbers.live, "The numbers"));
    html.put("<section class=\"tiles\">{}{}{}{}</section>", rate_tile(facts), in_flight_tile(numbers.live),
             lag_tile(numbers.live), waiting_tile(numbers.live));
    html.put("{}{}{}", month_section(numbers.month, edge_section(numbers.edges)), trouble_section(numbers),
             failed_section(numbers.live));
    html.put(
        "<footer><p>{} · runledgerd {} · events, settled and sent are this daemon's; all else is the ledger's</p>"
        "<p>as of <time>{} UTC</time></p></footer></div>",
        facts.host, facts.version, facts.now);
    return std::move(html).take();
}

}  // namespace

std::string numbers_of(const PageFacts& facts) { return numbers_markup(facts).text(); }

std::string page_of(const PageFacts& facts) {
    return framed({.title = facts.health.sentence, .refreshes = true, .has_search = true}, numbers_markup(facts));
}

}  // namespace runledger::web
