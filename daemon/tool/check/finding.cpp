#include "daemon/tool/check/finding.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "daemon/base/json.hpp"
#include "daemon/base/obeyed_characters.hpp"
#include "daemon/tool/output/output.hpp"

namespace runledger::tool {
namespace {

std::string_view mark_of(Grade grade, bool with_ticks) noexcept {
    switch (grade) {
        case Grade::passed:
            return with_ticks ? "✓" : "ok";
        case Grade::warning:
            return with_ticks ? "!" : "! ";
        case Grade::failed:
            return with_ticks ? "✗" : "X ";
        case Grade::unknown:
            return with_ticks ? "?" : "? ";
    }
    return "";
}

void add_text(JsonWriter& writer, const char* key, std::string_view text) {
    writer.Key(key);
    writer.String(text.data(), static_cast<rapidjson::SizeType>(text.size()));
}

void add_count(JsonWriter& writer, const char* key, std::size_t count) {
    writer.Key(key);
    writer.Uint64(count);
}

// On one line, with single blanks: a server's words are not ours.
std::string spaced(std::string_view text) {
    std::string line = one_line(text);
    const auto is_second = [](char a, char b) { return a == ' ' && b == ' '; };
    line.erase(std::unique(line.begin(), line.end(), is_second), line.end());
    line.erase(0, line.find_first_not_of(' '));
    line.erase(line.find_last_not_of(' ') + 1);
    return line;
}

}  // namespace

std::string_view to_word(Grade grade) noexcept {
    switch (grade) {
        case Grade::passed:
            return "passed";
        case Grade::warning:
            return "warning";
        case Grade::failed:
            return "failed";
        case Grade::unknown:
            return "unknown";
    }
    return "";
}

void Findings::add(std::string_view subject, Grade grade, std::string what, std::string to_do) {
    all_.push_back({std::string(subject), grade, spaced(what), spaced(to_do)});
}

void Findings::passed(std::string_view subject, std::string what) { add(subject, Grade::passed, std::move(what), {}); }

void Findings::warn(std::string_view subject, std::string what, std::string to_do) {
    add(subject, Grade::warning, std::move(what), std::move(to_do));
}

void Findings::fail(std::string_view subject, std::string what, std::string to_do) {
    add(subject, Grade::failed, std::move(what), std::move(to_do));
}

void Findings::unknown(std::string_view subject, std::string what, std::string to_do) {
    add(subject, Grade::unknown, std::move(what), std::move(to_do));
}

std::size_t Findings::count(Grade grade) const noexcept {
    return static_cast<std::size_t>(std::ranges::count(all_, grade, &Finding::grade));
}

bool Findings::has_failed(std::string_view subject) const noexcept {
    return std::ranges::any_of(all_, [subject](const Finding& finding) {
        return finding.subject == subject && finding.grade == Grade::failed;
    });
}

void print_text(const Findings& findings, bool with_ticks, std::FILE* out) {
    std::size_t width = 0;
    for (const Finding& finding : findings.all()) {
        width = std::max(width, finding.subject.size());
    }
    for (const Finding& finding : findings.all()) {
        const std::string_view mark = mark_of(finding.grade, with_ticks);
        fmt::print(out, "{} {:<{}}  {}\n", mark, finding.subject, width, finding.what);
        if (!finding.to_do.empty()) {
            fmt::print(out, "{:{}}  {} {}\n", "", (with_ticks ? 1 : 2) + width + 1, with_ticks ? "→" : "->",
                       finding.to_do);
        }
    }
    const std::size_t failed = findings.count(Grade::failed);
    fmt::print(out, "{}; passed: {}, failed: {}, warnings: {}, not checked: {}\n",
               failed == 0 ? "nothing has failed" : "NOT READY", findings.count(Grade::passed), failed,
               findings.count(Grade::warning), findings.count(Grade::unknown));
}

void print_json(const Findings& findings, std::string_view url, std::FILE* out) {
    JsonText text;
    JsonWriter writer(text);
    writer.StartObject();
    writer.Key("ok");
    writer.Bool(findings.count(Grade::failed) == 0);
    add_count(writer, "passed", findings.count(Grade::passed));
    add_count(writer, "failed", findings.count(Grade::failed));
    add_count(writer, "warnings", findings.count(Grade::warning));
    add_count(writer, "unknown", findings.count(Grade::unknown));
    if (!url.empty()) {
        add_text(writer, "url", url);
    }
    writer.Key("findings");
    writer.StartArray();
    for (const Finding& finding : findings.all()) {
        writer.StartObject();
        add_text(writer, "check", finding.subject);
        add_text(writer, "result", to_word(finding.grade));
        add_text(writer, "found", finding.what);
        add_text(writer, "to_do", finding.to_do);
        writer.EndObject();
    }
    writer.EndArray();
    writer.EndObject();
    fmt::print(out, "{}\n", std::string_view(text.GetString(), text.GetSize()));
}

}  // namespace runledger::tool
