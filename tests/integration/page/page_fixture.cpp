#include "tests/integration/page/page_fixture.hpp"

#include <fmt/format.h>

#include "tests/support/cluster_kind.hpp"

namespace runledger::test {

PagePipeline::PagePipeline() {
    nginx_options.port = free_port();
    const auto file = folder().write_secret("page-token", std::string(token));
    daemon_extra = fmt::format("[page]\ntoken_file = \"{}\"\nuri = \"{}\"\n", file.string(), reader_uri());
}

std::string PagePipeline::reader_uri() const {
    const std::string superuser = "postgres@";
    std::string reader = uri();
    return reader.replace(reader.find(superuser), superuser.size(), fmt::format("{}@", Logins::reader));
}

void PagePipeline::execute(const std::string& statements) const {
    const auto connection = connect_to(uri());
    pqxx::work work(*connection);
    work.exec(statements);
    work.commit();
}

std::string PagePipeline::status_url() const {
    return fmt::format("http://127.0.0.1:{}/runledger_status", nginx_options.port);
}

std::string PagePipeline::base() const {
    // metrics_url() is of the daemon, which is the fixture's, not const.
    const std::string url = const_cast<PagePipeline*>(this)->daemon().metrics_url();
    return url.substr(0, url.rfind('/'));
}

HttpAnswer PagePipeline::open(const std::string& path) const {
    return knock(path, "GET", {fmt::format("Authorization: Bearer {}", token)});
}

HttpAnswer PagePipeline::knock(const std::string& path, std::string method, std::vector<std::string> headers) const {
    return http_call({.url = base() + path, .method = std::move(method), .headers = std::move(headers)});
}

Finished PagePipeline::tool(std::vector<std::string> words) { return daemon().tool(std::move(words)); }

}  // namespace runledger::test
