#include "daemon/database/database.hpp"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <poll.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <system_error>

#include "daemon/database/libpqxx.hpp"
#include "daemon/database/transaction.hpp"

namespace runledger {
namespace {

// A host that is gone without a word is noticed within about half a minute, whether bytes are under way to it
// (tcp_user_timeout) or its answer is waited for (keepalives). libpq's own default is the kernel's: hours.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> usual_parameters{
    {{"keepalives_idle", "10"},
     {"keepalives_interval", "5"},
     {"keepalives_count", "3"},
     {"tcp_user_timeout", "30000"}}};

// The operator's connection string with what it leaves open. Whatever it says itself is kept, but for
// application_name, to which the purpose is added: a parameter of the connection, which a pooler passes on with each
// transaction, while a SET would stick to somebody else's session.
std::string connection_text(const std::string& uri, std::string_view purpose) {
    check_readable(uri);
    PQconninfoOption* const parsed = PQconninfoParse(uri.c_str(), nullptr);
    if (parsed == nullptr) {
        throw std::bad_alloc();  // It could be read.
    }
    std::map<std::string, std::string, std::less<>> parameters;
    for (const PQconninfoOption* option = parsed; option->keyword != nullptr; ++option) {
        if (option->val != nullptr) {
            parameters.emplace(option->keyword, option->val);
        }
    }
    PQconninfoFree(parsed);
    for (const auto& [keyword, value] : usual_parameters) {
        parameters.emplace(keyword, value);
    }
    std::string& application_name = parameters.try_emplace("application_name", "runledgerd").first->second;
    application_name += fmt::format(" {}", purpose);

    std::string text;
    for (const auto& [keyword, value] : parameters) {
        text += keyword + "='";
        for (const char c : value) {
            if (c == '\'' || c == '\\') {
                text.push_back('\\');
            }
            text.push_back(c);
        }
        text += "' ";
    }
    return text;
}

}  // namespace

// Whether a notice that came with COMMIT says that the transaction may be lost. It does if it is a warning: the wait
// for a synchronous replica was given up. What has SQLSTATE 00000 is none (LOG of log_duration, NOTICE, DEBUG), and
// what a deferred trigger RAISEs is about its own matters. Severity and text are in the server's language; SQLSTATE and
// the server's function, which a verbose message has, are not.
bool makes_doubtful(std::string_view notice) {
    const bool has_code = notice.find(":  00000: ") != std::string_view::npos;
    return !has_code && notice.find("exec_stmt_raise") == std::string_view::npos;
}

// Collects what the server says beside results, so that commit() can see a warning.
class Database::NoticeWatch {
public:
    explicit NoticeWatch(pqxx::connection& connection)
        : handler_(connection, [this](std::string_view message) { take(message); }) {}

    void clear() noexcept { last_.clear(); }
    // The last that makes a commit doubtful; empty: none did.
    [[nodiscard]] const std::string& last() const noexcept { return last_; }

private:
    void take(std::string_view message) noexcept {
        try {
            if (makes_doubtful(message)) {
                last_ = message;
            }
        } catch (const std::bad_alloc&) {
            last_.assign("?");  // Fits without allocation; that there was a warning is what counts.
        }
    }

    std::string last_;
    libpqxx::NoticeHandler handler_;
};

Database::Database(std::string uri, std::string_view purpose)
    : uri_(std::move(uri)), purpose_(purpose), outages_(Outages::of(uri_)) {}

Database::~Database() { disconnect(); }

pqxx::connection& Database::connection() {
    if (!connection_) {
        connect();
    }
    return *connection_;
}

pqxx::connection& Database::living_connection() {
    if (connection_) {
        pollfd waited{.fd = connection_->sock(), .events = POLLIN, .revents = 0};
        // Between transactions the server says nothing, unless that it ends the session.
        if (waited.fd < 0 || ::poll(&waited, 1, 0) != 0) {
            disconnect();
        }
    }
    return connection();
}

void Database::connect() {
    const bool was_away = outages_->is_away();
    outages_before_ = outages_->count();
    (void)OpenSocket(-1);  // Throws where no connection is to be made any more.
    const std::string parameters = connection_text(uri_, purpose_);
    std::unique_ptr<pqxx::connection> fresh;
    try {
        fresh = libpqxx::connect(parameters);
    } catch (const pqxx::broken_connection& error) {
        if (was_away) {
            --outages_before_;  // It failed in the outage in which it began, though that may be over by now.
        }
        constexpr std::chrono::seconds bound{5};  // As PGCONNECT_TIMEOUT of the daemon.
        if (last_failure_ != error.what()) {      // The same words have the same reason.
            refusal_ = find_refusal(parameters, bound);
            last_failure_ = error.what();
        }
        if (refusal_) {
            throw Refused(*refusal_);
        }
        throw;
    }
    last_failure_.clear();
    socket_ = std::make_unique<OpenSocket>(fresh->sock());
    notices_ = std::make_unique<NoticeWatch>(*fresh);
    connection_ = std::move(fresh);
}

void Database::disconnect() noexcept {
    notices_.reset();  // Before the connection that it watches.
    connection_.reset();
    socket_.reset();
    is_own_session_.reset();
    prepared_.clear();
}

bool Database::give_up(const std::exception& error) noexcept {
    disconnect();
    try {
        if (is_outage(error)) {
            outages_->begin(outages_before_, error);
            return true;
        }
        const std::string_view sqlstate = sqlstate_of(error);
        if (!is_for_good(sqlstate)) {
            return false;
        }
        ++times_refused_;
        if (refused_with_ != sqlstate) {
            refused_with_ = sqlstate;
            spdlog::error(
                "PostgreSQL refuses a stage's statements, which no waiting mends stage={:?} sqlstate={} "
                "error={:?} cure={:?}",
                purpose_, sqlstate, std::string_view(error.what()), cure_of(sqlstate));
        }
        return true;
    } catch (...) {
        return false;  // No memory for a line: the stage may try.
    }
}

void Database::commit(Transaction& transaction) {
    libpqxx::set_verbose(*connection_, true);  // For makes_doubtful(); an error disconnects.
    notices_->clear();
    transaction.work_->commit();
    libpqxx::set_verbose(*connection_, false);
    if (!notices_->last().empty()) {
        throw CommitDoubtful("COMMIT came back with: " + notices_->last());
    }
    if (!refused_with_.empty()) {
        spdlog::info("PostgreSQL accepts the stage's statements again stage={:?} refused={}", purpose_,
                     std::exchange(times_refused_, 0));
        refused_with_.clear();
    }
}

void ArrayLiteral::separate() {
    if (count_++ > 0) {
        text_.push_back(',');
    }
}

void ArrayLiteral::add(std::string_view text) {
    separate();
    text_.push_back('"');
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            text_.push_back('\\');
        }
        text_.push_back(c);
    }
    text_.push_back('"');
}

void ArrayLiteral::add_null() {
    separate();
    text_ += "NULL";
}

void ArrayLiteral::add(std::int64_t value) {
    separate();
    fmt::format_to(std::back_inserter(text_), "{}", value);
}

void ArrayLiteral::add(double value) {
    separate();
    fmt::format_to(std::back_inserter(text_), "{}", value);  // The shortest text that reads back the same.
}

void ArrayLiteral::add(bool value) {
    separate();
    text_.push_back(value ? 't' : 'f');
}

std::string ArrayLiteral::str() const { return text_ + '}'; }

// What no smaller turn would mend: the connection, resources, a shutdown, a failing disk, a standby, a session that was
// ended because it idled. Not 57014: a statement that was cancelled, as by its time-out, may be a trigger that hangs
// for one row. An error without a SQLSTATE came from no server.
static bool is_of_the_server(std::string_view sqlstate) noexcept {
    return sqlstate.empty() || sqlstate.starts_with("08") || sqlstate.starts_with("53") ||
           (sqlstate.starts_with("57") && sqlstate != "57014") || sqlstate.starts_with("58") || sqlstate == "25006" ||
           sqlstate == "25P03";
}

bool passes_by_itself(std::string_view sqlstate) noexcept {
    constexpr std::string_view lock_not_available = "55P03";
    return is_of_the_server(sqlstate) || sqlstate.starts_with("40") || sqlstate == lock_not_available;
}

Failure classify(const std::exception& error) noexcept {
    if (dynamic_cast<const pqxx::sql_error*>(&error) != nullptr) {
        const std::string_view state = sqlstate_of(error);
        if (state.starts_with("22") || state.starts_with("23")) {
            return Failure::poison;
        }
        return is_of_the_server(state) ? Failure::try_again : Failure::refused;
    }
    const bool is_from_outside = dynamic_cast<const pqxx::failure*>(&error) != nullptr ||
                                 dynamic_cast<const CommitDoubtful*>(&error) != nullptr ||
                                 dynamic_cast<const std::system_error*>(&error) != nullptr;
    return is_from_outside ? Failure::try_again : Failure::poison;
}

}  // namespace runledger
