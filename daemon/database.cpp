#include "daemon/database.hpp"

#include <fmt/format.h>

#include <charconv>

namespace runledger {

// Collects what the server says beside results, so that commit() can see a warning.
class Database::NoticeWatch : public pqxx::errorhandler {
public:
    explicit NoticeWatch(pqxx::connection& connection) : pqxx::errorhandler(connection) {}

    bool operator()(const char message[]) noexcept override {
        try {
            last_ = message;
        } catch (const std::bad_alloc&) {
            last_.assign("?");  // Fits without allocation; that there was a notice is what counts.
        }
        return false;  // No other handler: nothing goes to standard error.
    }

    void clear() noexcept { last_.clear(); }
    [[nodiscard]] const std::string& last() const noexcept { return last_; }

private:
    std::string last_;
};

Database::Database(std::string uri, std::string_view purpose)
    : uri_(std::move(uri)), application_name_(fmt::format("runledgerd {}", purpose)) {}

Database::~Database() { disconnect(); }

pqxx::connection& Database::connection() {
    if (!connection_) {
        auto fresh = std::make_unique<pqxx::connection>(uri_);
        // Deprecated because libpqxx 7 never re-opens by itself; this one (6.4) does unless it is told not to.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
        fresh->inhibit_reactivation(true);
#pragma GCC diagnostic pop
        notices_ = std::make_unique<NoticeWatch>(*fresh);
        connection_ = std::move(fresh);
        pqxx::nontransaction session(*connection_);
        // Through a pooler this may stick to another client's session; it names, it does not decide.
        session.exec_params("SELECT set_config('application_name', $1, false)", application_name_);
    }
    return *connection_;
}

void Database::disconnect() noexcept {
    notices_.reset();  // Before the connection that it watches.
    connection_.reset();
}

void Database::commit(pqxx::work& work) {
    notices_->clear();
    work.commit();
    if (!notices_->last().empty()) {
        throw CommitDoubtful("COMMIT came back with: " + notices_->last());
    }
}

void begin_durably(pqxx::work& work, const TransactionBounds& bounds) {
    // SET LOCAL, so that nothing sticks to a pooled session. `on` waits for synchronous replicas where there are any.
    work.exec(
        fmt::format("SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = {}; SET LOCAL lock_timeout = {}",
                    bounds.statement_timeout.count(), bounds.lock_timeout.count()));
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

Failure classify(const std::exception& error) noexcept {
    if (const auto* sql = dynamic_cast<const pqxx::sql_error*>(&error)) {
        const std::string& state = sql->sqlstate();
        if (state.starts_with("22") || state.starts_with("23")) {
            return Failure::poison;
        }
    }
    return Failure::try_again;
}

}  // namespace runledger
