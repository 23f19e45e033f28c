#include "tests/oracle/payload.hpp"

#include <fmt/format.h>
#include <rapidjson/document.h>

#include <map>
#include <set>
#include <string>
#include <string_view>

namespace runledger::test {
namespace {

struct PayloadStrings {
    std::map<std::string, int> ids;  // How often each stands as a member "id".
    std::set<std::string> all;
};

void collect(const rapidjson::Value& value, PayloadStrings& strings) {
    if (value.IsString()) {
        strings.all.emplace(value.GetString(), value.GetStringLength());
    } else if (value.IsArray()) {
        for (const auto& element : value.GetArray()) {
            collect(element, strings);
        }
    } else if (value.IsObject()) {
        for (const auto& member : value.GetObject()) {
            if (member.value.IsString() && std::string_view{member.name.GetString()} == "id") {
                ++strings.ids[member.value.GetString()];
            }
            collect(member.value, strings);
        }
    }
}

// jsonb holds numbers of any length, RapidJSON none beyond a double, not even as strings. No digits that the oracle
// asks for are that many.
std::string without_endless_numbers(const std::string& json) {
    constexpr std::size_t digits_max = 300;
    std::string readable;
    std::size_t digits = 0;
    for (const char c : json) {
        digits = c >= '0' && c <= '9' ? digits + 1 : 0;
        if (digits <= digits_max) {
            readable += c;
        }
    }
    return readable;
}

}  // namespace

void compare_outputs(const StoredGeneration& row, const ExpectedGeneration& expected, Findings& findings) {
    PayloadStrings strings;
    if (row.response_payload) {
        rapidjson::Document document;
        document.Parse<rapidjson::kParseNumbersAsStringsFlag>(without_endless_numbers(*row.response_payload).c_str());
        if (document.HasParseError()) {
            findings.push_back(fmt::format("run {}: response_payload can't be read", row.run_id));
            return;
        }
        collect(document, strings);
    }
    for (const PlannedOutput* output : expected.outputs) {
        const int times = strings.ids.contains(output->id) ? strings.ids.at(output->id) : 0;
        // What jsonb refuses may be left out or put in with the refused part replaced, but never twice.
        if (times > 1 || (times == 0 && output->storable)) {
            findings.push_back(
                fmt::format("run {}: output {} is in response_payload {} times", row.run_id, output->id, times));
        }
        for (const std::string& url : output->urls) {
            if (output->storable && !strings.all.contains(url)) {
                findings.push_back(fmt::format("run {}: {} is not in response_payload", row.run_id, url));
            }
        }
    }
}

}  // namespace runledger::test
