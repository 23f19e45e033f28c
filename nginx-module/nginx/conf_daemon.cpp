// runledger_daemon: where events are sent to.
#include <algorithm>

#include "nginx-module/link/endpoint.hpp"
#include "nginx-module/nginx/conf.hpp"
#include "nginx-module/nginx/conf_words.hpp"

namespace runledger::edge {

char* read_daemon(ngx_conf_t& cf, MainConf& main) {
    const Words words{cf};
    if (!main.daemon_endpoints.empty()) {
        return refuse(cf, "runledger_daemon is given twice; it takes several endpoints");
    }
    for (std::size_t i = 1; i < words.count(); ++i) {
        const std::string endpoint{words[i]};
        if (const auto fault = find_endpoint_fault(endpoint)) {
            return refuse(cf, "runledger_daemon: " + quoted(endpoint) + " is not an endpoint: " + *fault);
        }
        if (std::ranges::find(main.daemon_endpoints, endpoint) != main.daemon_endpoints.end()) {
            return refuse(cf, "runledger_daemon: " + quoted(endpoint) + " is given twice");
        }
        main.daemon_endpoints.push_back(endpoint);
    }
    return NGX_CONF_OK;
}

}  // namespace runledger::edge
