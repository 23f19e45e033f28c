// The commands as the product carries them out, on a real PostgreSQL, each as its documented role; and what its tables
// hold afterwards. All that names a function, a query or a table of the product is in product.cpp and product_rows.cpp.
//
// One thread; where two transactions overlap, it is the test that holds one of them open.
#pragma once

#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/database/database.hpp"
#include "daemon/reconcile/lookups.hpp"
#include "tests/property/ledger/commands.hpp"
#include "tests/property/ledger/model.hpp"
#include "tests/support/postgres_server.hpp"

namespace runledger::test::whole_ledger {

class Product {
public:
    // A database of its own in the program's PostgreSQL, migrated.
    explicit Product(const std::string& database);
    ~Product();
    Product(const Product&) = delete;
    Product& operator=(const Product&) = delete;

    // As after migrate.
    void empty();
    // What the command is about is as `before` says. Throws where anything is refused.
    void run(const Command& command, const Model& before);
    // Queues every run, as if there were news of each.
    void queue_all();
    // Runs of `forgotten` must be found nowhere.
    [[nodiscard]] Rows rows(const std::set<std::string>& forgotten);

private:
    using Connection = std::unique_ptr<pqxx::connection>;

    void run(const Apply& command, const Model& before);
    void run(const Copy& command, const Model& before);
    void run(const Conflict& command, const Model& before);
    void run(const Replay& command, const Model& before);
    void run(const Retire& command, const Model& before);
    void run(const Insert& command, const Model& before);
    void run(const Change& command, const Model& before);
    void run(const Resave& command, const Model& before);
    void run(const SaveOld& command, const Model& before);
    void run(const Hold& command, const Model& before);
    void run(const Release& command, const Model& before);
    void run(const Delete& command, const Model& before);
    void run(const Edit& command, const Model& before);
    void run(const RateChange& command, const Model& before);
    void run(const Reprice& command, const Model& before);
    void run(const Forget& command, const Model& before);
    void run(const ForgetChat& command, const Model& before);
    void run(const Settle& command, const Model& before);
    void run(const Report& command, const Model& before);
    void run(const Tell& command, const Model& before);
    void run(const Expire& command, const Model& before);
    void run(const DropDay& command, const Model& before);
    void run(const Close& command, const Model& before);

    void replay(std::int64_t id);
    enum class End { commit, abort };
    void apply(const std::vector<BatchPlan>& turn, bool one_by_one, End end = End::commit);
    // The application writes the row, or deletes it and inserts it again.
    void save(std::int64_t id, const Row& row, bool is_inserted);
    void settle(const std::vector<std::string>& runs, bool together, End end);
    template <class... Values>
    static pqxx::result execute(const Connection& as, const std::string& statement, const Values&... values);
    // While an apply turn has asked which runs are forgotten or removed. True: it was carried out.
    template <class... Values>
    [[nodiscard]] bool execute_beside_a_turn(const Connection& as, const std::string& statement,
                                             const Values&... values);

    std::string uri_;
    Connection dba_;
    Connection owner_;
    Connection daemon_;
    Connection other_daemon_;
    Connection application_;
    Connection other_application_;
    Connection reader_;
    std::unique_ptr<Database> tool_;
    Lookups lookups_;
    std::unique_ptr<pqxx::work> held_;
    int held_so_far_{0};
};

}  // namespace runledger::test::whole_ledger
