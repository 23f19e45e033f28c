#include "tests/support/oracle_payload.hpp"

#include <fmt/format.h>
#include <rapidjson/document.h>

#include <map>
#include <set>

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

}  // namespace

void compare_outputs(const StoredGeneration& row, const ExpectedGeneration& expected, Findings& findings) {
    PayloadStrings strings;
    if (row.response_payload) {
        rapidjson::Document document;
        document.Parse<rapidjson::kParseNumbersAsStringsFlag>(row.response_payload->c_str());
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
