#include "nginx-module/status/table.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "nginx-module/nginx/canary.hpp"
#include "nginx-module/nginx/conf.hpp"
#include "nginx-module/nginx/shared_zone.hpp"

namespace runledger::edge {

namespace {

constexpr ngx_msec_int_t slot_lifetime = 10'000;

// This process's slot, and how much of its counters the table has already: private to each process.
struct OwnPart {
    std::size_t slot{};
    CourierFigures published;
};
OwnPart own;

[[nodiscard]] bool is_gone(std::int64_t pid) noexcept {
    return kill(static_cast<pid_t>(pid), 0) == -1 && errno == ESRCH;
}

template <class Cells, class Values>
void read_all(const Cells& cells, Values& values) noexcept {
    std::ranges::transform(cells, values.begin(),
                           [](const auto& cell) { return cell.load(std::memory_order_relaxed); });
}

// What each reading of the configuration adds: the tokens, so that one that was never used shows as just that, and
// what the canary has seen.
void prepare(StatusTable& table, const MainConf& main) noexcept {
    if (canary::fault()) {
        table.note_incompatible_nginx();
    }
    for (const std::string& name : main.token_names) {
        table.add_token(name);
    }
}

ngx_int_t init_status_zone(ngx_shm_zone_t* zone, void* previous) noexcept {
    const ngx_log_t* log = log_of(*zone);
    return guarded(
        log, "prepare the status zone",
        [&]() -> ngx_int_t {
            const auto& main = *static_cast<MainConf*>(zone_data(*zone));
            // The last moment at which a configuration can be refused, and the first at which nginx knows the
            // worker's user, whatever the order of directives.
            if (!main.courier.spool.folder.empty() && !check_spool_folder(main, log)) {
                return NGX_ERROR;
            }
            if (!main.refused.folder.empty() && !check_refused_folder(main, log)) {
                return NGX_ERROR;
            }
            if (previous != nullptr) {  // A reload: the counters go on.
                set_zone_data(*zone, previous);
                prepare(*static_cast<StatusTable*>(previous), main);
                return NGX_OK;
            }
            void* memory = allocate_in(*zone, sizeof(StatusTable));
            if (memory == nullptr) {
                return NGX_ERROR;
            }
            auto* table = new (memory) StatusTable{};
            table->start(ngx_time());
            prepare(*table, main);
            set_zone_data(*zone, table);
            return NGX_OK;
        },
        NGX_ERROR);
}

}  // namespace

void StatusTable::start(time_t now) noexcept {
    started_at_.store(static_cast<std::uint64_t>(now), std::memory_order_relaxed);
}

void StatusTable::count(RequestOutcome outcome) noexcept {
    outcomes_[static_cast<std::size_t>(outcome)].fetch_add(1, std::memory_order_relaxed);
}

void StatusTable::count_refusal_by_nginx(std::size_t cause) noexcept {
    refusals_by_nginx_[cause].fetch_add(1, std::memory_order_relaxed);
}

void StatusTable::count_commit(std::chrono::microseconds duration) noexcept {
    const auto* bucket = std::ranges::lower_bound(commit_buckets, duration, {}, &CommitBucket::at_most);
    commits_[static_cast<std::size_t>(bucket - commit_buckets.begin())].fetch_add(1, std::memory_order_relaxed);
    commit_microseconds_.fetch_add(static_cast<std::uint64_t>(duration.count()), std::memory_order_relaxed);
}

void StatusTable::note_incompatible_nginx() noexcept { is_incompatible_.store(1, std::memory_order_relaxed); }

std::size_t StatusTable::find_token(std::string_view name) const noexcept {
    const std::size_t taken = tokens_taken_.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < taken; ++i) {
        if (tokens_[i].view() == name) {
            return i;
        }
    }
    return token_places;
}

void StatusTable::add_token(std::string_view name) noexcept {
    const std::size_t place = tokens_taken_.load(std::memory_order_relaxed);
    if (place == token_places || name.size() > token_name_bytes_max || find_token(name) != token_places) {
        return;
    }
    std::ranges::copy(name, tokens_[place].name.begin());
    tokens_[place].name_bytes = name.size();
    tokens_taken_.store(place + 1, std::memory_order_release);
}

void StatusTable::count_token(std::string_view name, time_t now, bool is_accepted) noexcept {
    Token& token = tokens_[find_token(name)];
    token.accepted.fetch_add(is_accepted ? 1 : 0, std::memory_order_relaxed);
    const auto used_at = static_cast<std::uint64_t>(now);
    std::uint64_t last_use = token.last_use.load(std::memory_order_relaxed);
    // Another worker's clock may be a turn ahead of ours: the latest stays.
    while (last_use < used_at && !token.last_use.compare_exchange_weak(last_use, used_at, std::memory_order_relaxed)) {
    }
}

bool StatusTable::is_alive(const Slot& slot) noexcept {
    const std::int64_t pid = slot.pid.load(std::memory_order_acquire);
    if (pid == 0) {
        return false;
    }
    // Signed: nginx reads its clock once a turn, so another process may have written "later" than our now.
    const auto age = static_cast<ngx_msec_int_t>(ngx_current_msec - slot.written_at.load(std::memory_order_relaxed));
    return age < slot_lifetime && !is_gone(pid);
}

StatusTable::Slot* StatusTable::claim_slot() noexcept {
    const std::int64_t pid = ngx_pid;
    if (slots_[own.slot].pid.load(std::memory_order_acquire) == pid) {
        return &slots_[own.slot];
    }
    for (std::size_t i = 0; i < slots_.size(); ++i) {
        std::int64_t owner = slots_[i].pid.load(std::memory_order_acquire);
        if ((owner == 0 || !is_alive(slots_[i])) &&
            slots_[i].pid.compare_exchange_strong(owner, pid, std::memory_order_acq_rel)) {
            own.slot = i;
            return &slots_[i];
        }
    }
    return nullptr;  // More workers than slots: this one's gauges are not shown, its counters are.
}

void StatusTable::publish(const CourierFigures& figures) noexcept {
    Slot* slot = claim_slot();
    for (std::size_t i = 0; i < courier_figures.size(); ++i) {
        const std::uint64_t value = courier_figures[i].value(figures);
        if (courier_figures[i].kind == FigureKind::counter) {
            counters_[i].fetch_add(value - courier_figures[i].value(own.published), std::memory_order_relaxed);
        } else if (slot != nullptr) {
            slot->gauges[i].store(value, std::memory_order_relaxed);
        }
    }
    own.published = figures;
    if (slot != nullptr) {
        slot->written_at.store(ngx_current_msec, std::memory_order_relaxed);
    }
}

void StatusTable::leave() noexcept {
    std::int64_t pid = ngx_pid;
    slots_[own.slot].pid.compare_exchange_strong(pid, 0, std::memory_order_acq_rel);
    own = {};
}

StatusFigures StatusTable::read() const {
    StatusFigures figures;
    figures.started_at_seconds = started_at_.load(std::memory_order_relaxed);
    figures.is_nginx_incompatible = is_incompatible_.load(std::memory_order_relaxed) != 0 || canary::fault();
    read_all(outcomes_, figures.outcomes);
    read_all(refusals_by_nginx_, figures.refusals_by_nginx);
    read_all(counters_, figures.courier);
    read_all(commits_, figures.commits);
    figures.commit_time_sum = std::chrono::microseconds{commit_microseconds_.load(std::memory_order_relaxed)};
    const std::size_t taken = tokens_taken_.load(std::memory_order_acquire);
    const auto add = [&](std::string_view name, const Token& token) {
        figures.tokens.push_back({std::string{name}, token.accepted.load(std::memory_order_relaxed),
                                  token.last_use.load(std::memory_order_relaxed)});
    };
    for (std::size_t i = 0; i < taken; ++i) {
        add(tokens_[i].view(), tokens_[i]);
    }
    if (taken == token_places) {
        add("(other)", tokens_[token_places]);  // No token can be called that.
    }
    for (const Slot& slot : slots_) {
        if (!is_alive(slot)) {
            continue;
        }
        figures.workers += 1;
        for (std::size_t i = 0; i < courier_figures.size(); ++i) {
            const std::uint64_t value = slot.gauges[i].load(std::memory_order_relaxed);
            std::uint64_t& total = figures.courier[i];
            total = courier_figures[i].kind == FigureKind::largest ? std::max(total, value) : total + value;
        }
    }
    return figures;
}

void add_status_zone(ngx_conf_t& cf, MainConf& main) {
    main.status_zone = &add_shared_zone(cf, "runledger_status", sizeof(StatusTable), init_status_zone, &main);
}

StatusTable& status_table(const ngx_shm_zone_t& zone) noexcept { return *static_cast<StatusTable*>(zone_data(zone)); }

}  // namespace runledger::edge
