// runledger_spool: the folder, its bounds, and whether it can be used, by the workers and by this host.
#include <algorithm>
#include <optional>
#include <system_error>
#include <vector>

#include "common/limits.hpp"
#include "nginx-module/nginx/conf.hpp"
#include "nginx-module/nginx/conf_words.hpp"
#include "nginx-module/nginx/folder_access.hpp"
#include "nginx-module/spool/claim.hpp"
#include "nginx-module/spool/file_system.hpp"
#include "nginx-module/spool/folder.hpp"

namespace runledger::edge {

namespace {

// A worker writes one segment and has the next one made; while a reload lasts there are old and new workers.
constexpr std::size_t spool_bytes_min = 4 * segment_bytes;

// Each returns nothing where the parameter's value is good, else what is wrong with it.
using Fault = std::optional<std::string>;

[[nodiscard]] Fault read_max_size(MainConf& main, std::string_view value) {
    ngx_str_t text = borrow(value);
    const off_t size = ngx_parse_offset(&text);
    if (text.len == 0 || size == static_cast<off_t>(NGX_ERROR)) {
        return "is not a size, such as max_size=1g";
    }
    if (static_cast<std::size_t>(size) < spool_bytes_min) {
        return "is less than four segments, 64m";
    }
    main.spool_bytes_max = static_cast<std::size_t>(size);
    return std::nullopt;
}

[[nodiscard]] Fault read_keep_acked(MainConf& main, std::string_view value) {
    ngx_str_t text = borrow(value);
    const ngx_int_t seconds = ngx_parse_time(&text, 1);
    if (text.len == 0 || seconds == NGX_ERROR) {
        return "is not a time, such as keep_acked=2h";
    }
    main.spool_keep_acked = std::chrono::seconds{seconds};
    return std::nullopt;
}

[[nodiscard]] Fault read_host(MainConf& main, std::string_view value) {
    if (value.empty() || value.size() > 255) {
        return "is not a host's name, of 1 to 255 bytes";
    }
    main.spool_host = SpoolHost::from_name(value);
    return std::nullopt;
}

struct Parameter {
    std::string_view key;  // With its "=".
    Fault (*read)(MainConf& main, std::string_view value);
};

constexpr Parameter parameters[] = {
    {"max_size=", read_max_size}, {"keep_acked=", read_keep_acked}, {"host=", read_host}};

// Why the folder may not be this host's; nothing if nobody has claimed it yet. Writes nothing.
[[nodiscard]] Fault find_claim_fault(const MainConf& main) {
    PosixFiles files;
    try {
        const auto identity = read_spool_identity(files, main.spool_dir);
        return identity ? find_spool_identity_fault(*identity, *main.spool_host, main.spool_dir) : std::nullopt;
    } catch (const std::system_error& e) {
        return "its file \"identity\", which says whose it is, can't be read: " + std::string{e.what()};
    }
}

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
    std::vector<std::string_view> seen;
    for (std::size_t i = 2; i < words.count(); ++i) {
        const auto* parameter =
            std::ranges::find_if(parameters, [&](const Parameter& known) { return words[i].starts_with(known.key); });
        if (parameter == std::ranges::end(parameters)) {
            return refuse(cf, "runledger_spool: " + quoted(words[i]) +
                                  " is not a parameter; max_size=<size>, keep_acked=<time> and host=<name> are");
        }
        if (std::ranges::find(seen, parameter->key) != seen.end()) {
            return refuse(cf, "runledger_spool: " + quoted(words[i]) + " is given a second time");
        }
        seen.push_back(parameter->key);
        if (const auto fault = parameter->read(main, words[i].substr(parameter->key.size()))) {
            return refuse(cf, "runledger_spool: " + quoted(words[i]) + " " + *fault);
        }
    }
    if (!main.spool_host) {
        main.spool_host = this_host();
    }
    return NGX_CONF_OK;
}

bool check_spool_folder(const MainConf& main, const ngx_log_t* log) {
    const auto& core = *reinterpret_cast<ngx_core_conf_t*>(ngx_get_conf(main.cycle->conf_ctx, ngx_core_module));
    std::optional<WorkerUser> user;
    if (core.username != nullptr && core.user != static_cast<ngx_uid_t>(NGX_CONF_UNSET_UINT)) {
        user = WorkerUser{core.username, core.user, core.group};
    }
    const auto say = [&](ngx_uint_t level, const std::string& sentence) {
        log_line(log, level, "runledger_spool " + quoted(main.spool_dir) + ": " + sentence);
    };
    if (const auto fault = find_folder_fault(main.spool_dir, user)) {
        say(NGX_LOG_EMERG, *fault);
        return false;
    }
    if (const auto finding = find_file_system_fault(main.spool_dir)) {
        say(finding->is_refused ? NGX_LOG_EMERG : NGX_LOG_WARN, finding->sentence);
        if (finding->is_refused) {
            return false;
        }
    }
    if (const auto fault = find_claim_fault(main)) {
        say(NGX_LOG_EMERG, *fault);
        return false;
    }
    return true;
}

void warn_of_crowded_spool(const ngx_cycle_t& cycle, const MainConf& main) {
    // docs/spool-format.md: each worker writes one segment and has the next one made.
    constexpr std::size_t segments_per_worker = 2;
    const auto& core = *reinterpret_cast<ngx_core_conf_t*>(ngx_get_conf(cycle.conf_ctx, ngx_core_module));
    const std::size_t workers = core.master != 0 ? static_cast<std::size_t>(core.worker_processes) : 1;
    const std::size_t each = segments_per_worker * usual_segment_bytes(main.spool_bytes_max);
    if (workers * each <= main.spool_bytes_max) {
        return;
    }
    log_line(cycle.log, NGX_LOG_WARN,
             "runledger_spool " + quoted(main.spool_dir) + ": " + std::to_string(workers) + " workers reserve up to " +
                 std::to_string(workers * each) + " bytes, more than max_size, " +
                 std::to_string(main.spool_bytes_max) +
                 ": a busy worker may find no room and answer 503; raise max_size or lower worker_processes");
}

}  // namespace runledger::edge
