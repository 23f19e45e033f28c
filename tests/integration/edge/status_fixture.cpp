#include "tests/integration/edge/status_fixture.hpp"

#include <fmt/format.h>

#include "tests/support/eventually.hpp"

namespace runledger::test {

std::string StatusFixture::text() {
    const HttpAnswer answer = http_get(nginx().url("/runledger_status"));
    EXPECT_EQ(answer.status, 200);
    EXPECT_NE(answer.headers.find("Content-Type: text/plain; version=0.0.4"), std::string::npos) << answer.headers;
    return answer.body;
}

double StatusFixture::sample(const std::string& name) {
    const auto all = samples();
    const auto found = all.find(name);
    if (found == all.end()) {
        ADD_FAILURE() << "no sample is called " << name;
        return -1;
    }
    return found->second;
}

void StatusFixture::wait_for_sample(const std::string& name, double value) {
    eventually(
        fmt::format("{} is {}", name, value), [&] { return samples().at(name) == value; }, default_patience,
        [this] { return text(); });
}

}  // namespace runledger::test
