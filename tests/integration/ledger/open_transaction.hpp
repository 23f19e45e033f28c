// A transaction that a test holds open, as durable as a daemon's. Without commit() it is rolled back.
#pragma once

#include <memory>
#include <pqxx/pqxx>
#include <string>
#include <utility>

#include "daemon/database/libpqxx.hpp"
#include "daemon/database/transaction.hpp"

namespace runledger::test {

class Open {
public:
    explicit Open(std::unique_ptr<pqxx::connection> connection)
        : connection_(std::move(connection)), work_(*connection_) {
        begin_durably(work_, {});
    }
    [[nodiscard]] std::string value(const std::string& query) { return libpqxx::run1(work_, query)[0].c_str(); }
    void run(const std::string& statement) { work_.exec(statement); }
    void commit() { work_.commit(); }

private:
    std::unique_ptr<pqxx::connection> connection_;
    pqxx::work work_;
};

}  // namespace runledger::test
