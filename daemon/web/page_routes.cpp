#include "daemon/web/page_routes.hpp"

#include <fmt/chrono.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <memory>

#include "daemon/overview/json.hpp"
#include "daemon/web/frame.hpp"
#include "daemon/web/page.hpp"
#include "page_files.hpp"

namespace runledger::web {
namespace {

std::string host_name() {
    std::array<char, 256> host{};
    return gethostname(host.data(), host.size() - 1) == 0 ? host.data() : "?";
}

class Page {
public:
    Page(PageOptions options, AskHealth facts, AskRates rates, std::atomic<std::uint64_t>& refused)
        : version_(std::move(options.version)),
          facts_(std::move(facts)),
          rates_(std::move(rates)),
          overview_(std::move(options.overview)),
          login_(std::move(options.login), refused) {}

    [[nodiscard]] bool lets_in(const Request& request) { return login_.lets_in(request); }

    [[nodiscard]] Answer overview() { return page_answer(page_of(look())); }
    [[nodiscard]] Answer numbers() { return page_answer(numbers_of(look())); }
    [[nodiscard]] Answer json() {
        const PageFacts facts = look();
        Answer answer = page_answer(overview_json(facts.health, facts.rates, facts.numbers) + "\n");
        answer.type = "application/json";
        return answer;
    }
    [[nodiscard]] Answer search(const Request& request) {
        std::string words = request.parameter("q");
        while (words.ends_with(' ')) {
            words.pop_back();
        }
        words.erase(0, std::min(words.find_first_not_of(' '), words.size()));
        return page_answer(search_page(words, words.empty() ? Overview::Found{} : overview_.search(words)));
    }
    [[nodiscard]] Answer log_in(const Request& request) {
        if (!login_.is_the_token(request.parameter("token"))) {
            return page_answer(login_page(true), 401);
        }
        Answer answer = go_to("/");
        answer.headers.emplace_back("Set-Cookie", login_.cookie(request));
        return answer;
    }
    [[nodiscard]] static Answer log_out() {
        Answer answer = go_to("/login");
        answer.headers.emplace_back("Set-Cookie", Login::no_cookie());
        return answer;
    }
    [[nodiscard]] static Answer go_to(std::string path) {
        Answer answer = page_answer("", 303);
        answer.headers.emplace_back("Location", std::move(path));
        return answer;
    }

private:
    [[nodiscard]] PageFacts look() {
        PageFacts facts{.health = judge(facts_()), .rates = rates_(), .numbers = overview_.numbers()};
        facts.health = with_numbers(std::move(facts.health), facts.numbers);
        facts.host = host_name();
        facts.version = version_;
        facts.now = fmt::format("{:%Y-%m-%d %H:%M:%S}",
                                fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
        return facts;
    }

    std::string version_;
    AskHealth facts_;
    AskRates rates_;
    Overview overview_;
    Login login_;
};

Answer static_file(std::string_view type, std::string_view content) {
    Answer answer = page_answer(std::string(content));
    answer.type = type;
    return answer;
}

}  // namespace

std::vector<Route> page_routes(PageOptions options, AskHealth facts, AskRates rates,
                               std::atomic<std::uint64_t>& refused) {
    const auto page = std::make_shared<Page>(std::move(options), std::move(facts), std::move(rates), refused);
    // A browser is shown the login; a program is told.
    const auto for_people = [page](std::function<Answer(const Request&)> answer) {
        return [page, answer = std::move(answer)](const Request& request) {
            return page->lets_in(request) ? answer(request) : Page::go_to("/login");
        };
    };
    const auto for_programs = [page](std::function<Answer(const Request&)> answer) {
        return [page, answer = std::move(answer)](const Request& request) {
            if (page->lets_in(request)) {
                return answer(request);
            }
            return Answer{.status = 401,
                          .body = "This needs the page's token: Authorization: Bearer …\n",
                          .headers = {{"WWW-Authenticate", "Bearer"}, {"Cache-Control", "no-store"}}};
        };
    };
    return {
        {"/", for_people([page](const Request&) { return page->overview(); })},
        {"/search", for_people([page](const Request& request) { return page->search(request); })},
        {"/numbers", for_programs([page](const Request&) { return page->numbers(); })},
        {"/overview.json", for_programs([page](const Request&) { return page->json(); })},
        {"/login", [](const Request&) { return page_answer(login_page(false)); }},
        {"/login", [page](const Request& request) { return page->log_in(request); }, true},
        {"/logout", [](const Request&) { return Page::log_out(); }, true},
        {"/page.css", [](const Request&) { return static_file("text/css; charset=utf-8", page_files::page_css); }},
        {"/page.js", [](const Request&) { return static_file("text/javascript; charset=utf-8", page_files::page_js); }},
        {"/icon.svg", [](const Request&) { return static_file("image/svg+xml", page_files::icon_svg); }}};
}

Route no_page_route() {
    return {"/", [](const Request&) {
                return Answer{.status = 404,
                              .body =
                                  "There is no page here: [page] token_file of runledgerd.toml switches it on.\n"
                                  "/metrics, /healthz and /readyz are served without it.\n"};
            }};
}

}  // namespace runledger::web
