// runledger_spool: the folder, its bound, and whether the workers can use it.
#include <optional>

#include "common/limits.hpp"
#include "nginx-module/conf.hpp"
#include "nginx-module/conf_words.hpp"
#include "nginx-module/folder_access.hpp"

namespace runledger::edge {

namespace {

// A worker writes one segment and has the next one made; while a reload lasts there are old and new workers.
constexpr std::size_t spool_bytes_min = 4 * segment_bytes;

}  // namespace

char* read_spool(ngx_conf_t& cf, MainConf& main) {
    const Words words{cf};
    if (!main.spool_dir.empty()) {
        return refuse(cf, "runledger_spool is given twice; all locations share one spool");
    }
    if (words[1].empty()) {
        return refuse(cf, R"(runledger_spool "" is not a folder)");
    }
    main.spool_dir = full_path(cf, words[1], RelativeTo::prefix);
    if (words.count() == 3) {
        constexpr std::string_view key = "max_size=";
        if (!words[2].starts_with(key)) {
            return refuse(cf, "runledger_spool: " + quoted(words[2]) + " is not a parameter; max_size=<size> is");
        }
        ngx_str_t text = borrow(words[2].substr(key.size()));
        const off_t size = ngx_parse_offset(&text);
        if (text.len == 0 || size == static_cast<off_t>(NGX_ERROR)) {
            return refuse(cf, "runledger_spool: " + quoted(words[2]) + " is not a size, such as max_size=1g");
        }
        if (static_cast<std::size_t>(size) < spool_bytes_min) {
            return refuse(cf, "runledger_spool: " + quoted(words[2]) + " is less than four segments, 64m");
        }
        main.spool_bytes_max = static_cast<std::size_t>(size);
    }
    return NGX_CONF_OK;
}

bool check_spool_folder(const MainConf& main, const ngx_log_t* log) {
    const auto& core = *reinterpret_cast<ngx_core_conf_t*>(ngx_get_conf(main.cycle->conf_ctx, ngx_core_module));
    std::optional<WorkerUser> user;
    if (core.username != nullptr && core.user != static_cast<ngx_uid_t>(NGX_CONF_UNSET_UINT)) {
        user = WorkerUser{core.username, core.user, core.group};
    }
    if (const auto fault = find_folder_fault(main.spool_dir, user)) {
        log_line(log, NGX_LOG_EMERG, "runledger_spool " + quoted(main.spool_dir) + ": " + *fault);
        return false;
    }
    return true;
}

}  // namespace runledger::edge
