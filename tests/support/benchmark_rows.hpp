// The rows with which the benchmark fills its database, a few thousand of them, for tests of what reads many.
#pragma once

#include <string>

namespace runledger::test {

// Into the migrated, empty database that the URI names, as a superuser. Fails the running test if psql does.
void load_benchmark_rows(const std::string& uri);

}  // namespace runledger::test
