// The parts of page.hpp that are not the overview: what a search found, and the login.
#include <fmt/format.h>

#include "daemon/overview/words.hpp"
#include "daemon/web/frame.hpp"
#include "daemon/web/page.hpp"

namespace runledger::web {
namespace {

std::string money_or(const std::string& cost_usd, std::string_view absent) {
    return cost_usd.empty() ? std::string(absent) : "$" + short_dollars(cost_usd);
}

Markup list_of(const std::vector<FoundRun>& found) {
    Html html;
    html.put(
        "<section class=\"card\"><header><h2>{}</h2></header><div class=\"wide\"><table><thead><tr>"
        "<th>asked, UTC</th><th>generation</th><th>run</th><th>status</th><th class=\"n\">took</th>"
        "<th class=\"n\">cost</th></tr></thead><tbody>",
        counted(static_cast<std::int64_t>(found.size()), "generation"));
    for (const FoundRun& run : found) {
        html.put("<tr><td><time>{}</time></td><td>{}</td><td>", run.requested_at, run.name);
        if (run.run_id.empty()) {
            html.put("<i>none yet</i>");
        } else {
            html.put("<a href=\"/search?q={}\">{}</a>", url_word(run.run_id), run.run_id);
        }
        html.put(
            "</td><td><span class=\"tag {}\">{}</span></td><td class=\"n\">{}</td>"
            "<td class=\"n\" title=\"{}\">{}</td></tr>",
            run.status, run.status,
            run.duration_ms.empty() ? "–" : in_seconds(std::strtod(run.duration_ms.c_str(), nullptr) / 1000),
            run.cost_usd, money_or(run.cost_usd, "–"));
    }
    html.put("</tbody></table></div></section>");
    return std::move(html).take();
}

std::string_view kind_of(const TimelineStep& step) {
    if (step.step.starts_with("message")) {
        return step.step == "message sent" ? "message good" : "message";
    }
    if (step.step == "requested" || step.step == "reported") {
        return step.step == "requested" ? "asked" : "received";
    }
    if (step.step == "received") {
        return step.status == "success"                              ? "received good"
               : step.status == "failed" || step.status == "timeout" ? "received bad"
                                                                     : "received";
    }
    return "settled";
}

Markup timeline_of(const RunStory& story) {
    Html html;
    html.put("<ol class=\"timeline\">");
    std::string day;
    for (const TimelineStep& step : story.steps) {
        if (step.day != day) {
            day = step.day;
            html.put("<li class=\"day\">{}</li>", day);
        }
        html.put("<li class=\"{}\"><time>{}</time><i></i><div><p><b>{}</b>", kind_of(step), step.time, step.step);
        if (!step.status.empty()) {
            html.put(" <span class=\"tag {}\">{}</span>", step.status, step.status);
        }
        if (!step.edge.empty()) {
            html.put(" <small>by {}</small>", step.edge);
        }
        if (step.after_seconds && *step.after_seconds > 0) {
            html.put(" <small class=\"after\">+{}</small>", in_seconds(*step.after_seconds));
        }
        html.put("</p>");
        if (!step.detail.empty()) {
            html.put("<p class=\"reason\">{}</p>", step.detail);
        }
        html.put("</div></li>");
    }
    html.put("</ol>");
    if (story.is_cut) {
        html.put("<p class=\"aside\">There are more steps: <code>runledger explain</code> shows them.</p>");
    }
    if (story.events_gone > 0) {
        html.put("<p class=\"aside\">{} more were counted; retention has removed their rows.</p>",
                 counted(story.events_gone, "event"));
    }
    return std::move(html).take();
}

Markup story_of(const RunStory& story) {
    Html html;
    html.put("<section class=\"card story\"><header><h1>{}</h1>", story.run_id);
    html.put("<span class=\"tag {}\">{}</span></header><dl class=\"facts\">", story.status,
             story.status.empty() ? "no event" : story.status);
    html.put("<div><dt>generation</dt><dd>{}</dd></div>",
             story.generation.empty() ? "none names this run" : story.generation);
    html.put("<div><dt>took</dt><dd>{}</dd></div>",
             story.duration_ms.empty() ? "–" : in_seconds(std::strtod(story.duration_ms.c_str(), nullptr) / 1000));
    html.put("<div><dt>cost</dt><dd title=\"{}\">{}</dd></div>", story.cost_usd, money_or(story.cost_usd, "–"));
    html.put("<div><dt>events</dt><dd>{}</dd></div></dl>", in_groups(story.event_count));
    if (!story.latest.empty()) {
        html.put("<p>{}</p>", story.latest);
    }
    html.put("{}", timeline_of(story));
    if (!story.cost_lines.empty()) {
        html.put("<h2>How the cost came about</h2><ul class=\"lines\">");
        for (const std::string& line : story.cost_lines) {
            html.put("<li>{}</li>", line);
        }
        html.put("</ul>");
    }
    if (story.generation.empty()) {
        html.put(
            "<p class=\"aside\">No generation names this run, so nothing is priced and nobody is notified. When "
            "the application writes the run_id into a generation's metadata, the run is settled within a "
            "second.</p>");
    }
    html.put("</section>");
    return std::move(html).take();
}

}  // namespace

std::string search_page(std::string_view words, const Overview::Found& found) {
    Html html;
    if (!found.error.empty()) {
        html.put("<p class=\"notice\">{}. Nothing could be looked up.</p>", found.error);
    } else if (found.result.story) {
        html.put("{}", story_of(*found.result.story));
    } else if (!found.result.found.empty()) {
        html.put("{}", list_of(found.result.found));
    } else if (words.empty()) {
        html.put(
            "<section class=\"card\"><p class=\"empty\">Enter a run's id, a generation's key or number, or a "
            "chat's id.</p></section>");
    } else {
        html.put(
            "<section class=\"card\"><p class=\"empty\">Nothing is known of <b>{}</b>: no event of such a run was "
            "received, and no generation has this run, key, number or chat. Its webhook may go elsewhere, or the edge "
            "refused it; the edge's log and status say so.</p></section>",
            words);
    }
    return framed({.title = words.empty() ? "Find" : std::string(words),
                   .words = std::string(words),
                   .refreshes = false,
                   .has_search = true},
                  std::move(html).take());
}

std::string login_page(bool was_wrong) {
    Html html;
    html.put(
        "<form class=\"login\" action=\"/login\" method=\"post\"><img src=\"/icon.svg\" alt=\"\" width=\"44\" "
        "height=\"44\"><h1>runledger</h1>");
    if (was_wrong) {
        html.put("<p class=\"notice\" role=\"alert\">That is not the token.</p>");
    }
    html.put(
        "<label for=\"token\">Token</label><input id=\"token\" type=\"password\" name=\"token\" required "
        "autofocus autocomplete=\"current-password\"><button>Open</button>"
        "<p class=\"aside\">It is in the file that <code>[page] token_file</code> of runledgerd.toml names.</p>"
        "</form>");
    return framed({.title = "Log in"}, std::move(html).take());
}

}  // namespace runledger::web
