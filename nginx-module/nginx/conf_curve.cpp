// runledger_curve: the keys with which tcp:// endpoints are spoken to.
#include "nginx-module/link/keys.hpp"
#include "nginx-module/nginx/conf.hpp"
#include "nginx-module/nginx/conf_words.hpp"

namespace runledger::edge {

char* read_curve(ngx_conf_t& cf, MainConf& main) {
    const Words words{cf};
    if (main.curve) {
        return refuse(cf, "runledger_curve is given twice");
    }
    CurveFiles files;
    for (std::size_t i = 1; i < words.count(); ++i) {
        const std::string_view word = words[i];
        const std::size_t equals = word.find('=');
        const std::string_view name = word.substr(0, equals);
        std::string* path = name == "secret_key"   ? &files.secret_key
                            : name == "server_key" ? &files.server_keys
                                                   : nullptr;
        if (path == nullptr || equals == std::string_view::npos || equals + 1 == word.size()) {
            return refuse(cf,
                          "runledger_curve: " + quoted(word) + " is neither secret_key=<file> nor server_key=<file>");
        }
        if (!path->empty()) {
            return refuse(cf, "runledger_curve: " + std::string{name} + " is given twice");
        }
        *path = full_path(cf, word.substr(equals + 1), RelativeTo::configuration);
    }
    auto keys = read_curve_keys(files);
    if (const auto* fault = std::get_if<CurveFault>(&keys)) {
        return refuse(cf, "runledger_curve: " + fault->sentence);
    }
    main.curve = std::make_shared<const CurveKeys>(std::get<CurveKeys>(std::move(keys)));
    return NGX_CONF_OK;
}

}  // namespace runledger::edge
