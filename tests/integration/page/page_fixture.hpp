// Everything together, with the page switched on, as a browser and a terminal meet it.
#pragma once

#include <string>
#include <string_view>

#include "tests/integration/pipeline/pipeline_fixture.hpp"
#include "tests/support/http_client.hpp"

namespace runledger::test {

class PagePipeline : public Pipeline {
protected:
    static constexpr std::string_view token = "a-token-for-the-page";

    PagePipeline();

    // As SQL, by a superuser.
    void execute(const std::string& statements) const;
    [[nodiscard]] std::string base() const;
    // Of the edge, whose port is known before it is made.
    [[nodiscard]] std::string status_url() const;
    // With the token in a header.
    [[nodiscard]] HttpAnswer open(const std::string& path) const;
    // Without one.
    [[nodiscard]] HttpAnswer knock(const std::string& path, std::string method = "GET",
                                   std::vector<std::string> headers = {}) const;
    // `runledger <words>`, as the reader's login.
    [[nodiscard]] Finished tool(std::vector<std::string> words);
    [[nodiscard]] std::string reader_uri() const;
};

}  // namespace runledger::test
