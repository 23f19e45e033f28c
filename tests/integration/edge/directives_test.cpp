// docs/directives.md against the module: every directive, where nginx allows it, and with how many words.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <sstream>

#include "tests/support/nginx_server.hpp"

namespace runledger::test {
namespace {

namespace fs = std::filesystem;

// As the document has it.
struct Directive {
    std::string name;
    std::vector<std::string> syntaxes{};  // What follows the name.
    std::string default_value{};
    std::set<std::string> contexts{};
    std::string since{};
};

std::string read_source(std::string_view path) { return read_text(fs::path{RUNLEDGER_SOURCE_DIR} / path); }

// "http, server" or "a b c", by what does not belong to a word.
std::vector<std::string> words_of(const std::string& text, const char* word) {
    const std::regex pattern{word};
    return {std::sregex_token_iterator{text.begin(), text.end(), pattern}, {}};
}

std::vector<Directive> documented_directives() {
    constexpr std::string_view heading = "### ";
    std::vector<Directive> directives;
    std::istringstream lines{read_source("docs/directives.md")};
    std::string row;
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with(heading)) {
            directives.push_back({.name = line.substr(heading.size())});
        }
        std::smatch parts;
        if (directives.empty() || !std::regex_match(line, parts, std::regex{"    (?:([A-Z][a-z]+): +| {10})(.*)"})) {
            continue;
        }
        Directive& directive = directives.back();
        row = parts[1].matched ? parts[1].str() : row;
        const std::string value = parts[2];
        if (row == "Syntax") {
            const std::string start = directive.name;
            EXPECT_TRUE(value.starts_with(start) && value.ends_with(';')) << value;
            directive.syntaxes.push_back(value.substr(start.size(), value.size() - start.size() - 1));
        } else if (row == "Default") {
            directive.default_value = value;
        } else if (row == "Context") {
            const auto contexts = words_of(value, "[a-z]+");
            directive.contexts = {contexts.begin(), contexts.end()};
        } else if (row == "Since") {
            directive.since = value;
        } else {
            ADD_FAILURE() << "an unknown row: " << line;
        }
    }
    return directives;
}

std::set<std::string> words_in_source(const char* file, const char* pattern) {
    const std::string source = read_source(file);
    const std::regex regex{pattern};
    return {std::sregex_token_iterator{source.begin(), source.end(), regex, 1}, {}};
}

class Directives : public ::testing::Test {
protected:
    // What nginx -t says of the words at this place.
    [[nodiscard]] std::string complaint(std::string_view context, const std::string& words) {
        constexpr std::string_view conf = R"(load_module @MODULE@; pid @FOLDER@/nginx.pid; error_log stderr info;
events {}
@main@
http {
    access_log off; client_body_temp_path @FOLDER@/b; proxy_temp_path @FOLDER@/p; fastcgi_temp_path @FOLDER@/f;
    uwsgi_temp_path @FOLDER@/u; scgi_temp_path @FOLDER@/s;
    @http@
    server { listen 127.0.0.1:@PORT@; @server@ location / { @location@ } }
}
)";
        std::string text{conf};
        for (const std::string_view place : {"main", "http", "server", "location"}) {
            const std::string mark = fmt::format("@{}@", place);
            text.replace(text.find(mark), mark.size(), place == context ? words : "");
        }
        if (!server_) {
            server_.emplace(folder_, text);
        }
        server_->set_conf(text);
        return server_->check_conf().output;
    }

private:
    TempFolder folder_;
    std::optional<NginxServer> server_;
};

TEST_F(Directives, AreAllInTheDocumentWhichKnowsNoOther) {
    std::set<std::string> documented;
    for (const Directive& directive : documented_directives()) {
        EXPECT_TRUE(documented.insert(directive.name).second) << directive.name << " is there twice";
    }

    EXPECT_EQ(documented, words_in_source("nginx-module/directives.cpp", R"re(\{ngx_string\("([a-z_]+)"\))re"));
}

TEST_F(Directives, AreAllowedWhereTheDocumentSaysAndNowhereElse) {
    for (const Directive& directive : documented_directives()) {
        std::set<std::string> allowed;
        for (const std::string context : {"main", "http", "server", "location"}) {
            const std::string said = complaint(context, directive.name + ";");
            ASSERT_EQ(said.find("unknown directive"), std::string::npos) << said;
            if (said.find("directive is not allowed here") == std::string::npos) {
                allowed.insert(context);
            }
        }
        EXPECT_EQ(directive.contexts, allowed) << directive.name;
    }
}

TEST_F(Directives, TakeAsManyWordsAsTheirSyntaxShows) {
    constexpr std::size_t words_max = 6;
    for (const Directive& directive : documented_directives()) {
        std::set<std::size_t> shown;
        for (const std::string& syntax : directive.syntaxes) {
            const std::size_t required =
                words_of(std::regex_replace(syntax, std::regex{R"(\[[^\]]*\])"}, ""), "[^ ]+").size();
            const bool is_open = syntax.find('[') != std::string::npos;
            for (std::size_t words = required; words <= (is_open ? words_max : required); ++words) {
                shown.insert(words);
            }
        }
        std::set<std::size_t> taken;
        for (std::size_t words = 0; words <= words_max; ++words) {
            std::string line = directive.name;
            for (std::size_t i = 0; i < words; ++i) {
                line += " x";
            }
            if (complaint(*directive.contexts.begin(), line + ";").find("invalid number of arguments") ==
                std::string::npos) {
                taken.insert(words);
            }
        }
        EXPECT_EQ(shown, taken) << directive.name;
    }
}

TEST_F(Directives, SayTheirDefaultAndSinceWhen) {
    for (const Directive& directive : documented_directives()) {
        EXPECT_TRUE(std::regex_match(directive.since, std::regex{R"(\d+\.\d+\.\d+)"})) << directive.name;
        EXPECT_TRUE(directive.default_value == "—" || directive.default_value.starts_with(directive.name + " "))
            << directive.name << ": " << directive.default_value;
    }
}

TEST_F(Directives, StandBesideAllVariables) {
    const std::string document = read_source("docs/directives.md");
    const auto documented = words_of(document.substr(document.find("## Variables")), R"(runledger_[a-z_]+)");

    EXPECT_EQ((std::set<std::string>{documented.begin(), documented.end()}),
              words_in_source("nginx-module/webhook/logged_request.cpp", R"re(add_variable\(cf, "([a-z_]+)")re"));
}

}  // namespace
}  // namespace runledger::test
