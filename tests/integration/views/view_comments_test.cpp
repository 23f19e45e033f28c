#include <gtest/gtest.h>

#include "tests/integration/views/views_fixture.hpp"

namespace runledger::test {
namespace {

TEST_F(Views, HaveACommentOnEachColumn) {
    EXPECT_EQ(value("SELECT coalesce(string_agg(c.relname || '.' || a.attname, ', ' ORDER BY c.relname, a.attnum), '') "
                    "FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 "
                    "WHERE c.relnamespace = 'runledger'::regnamespace AND c.relkind = 'v' "
                    "AND col_description(c.oid, a.attnum) IS NULL"),
              "");
}

TEST_F(Views, HaveAVersionInTheirNames) {
    EXPECT_EQ(value("SELECT coalesce(string_agg(relname, ', '), '') FROM pg_class "
                    "WHERE relnamespace = 'runledger'::regnamespace AND relkind = 'v' AND relname !~ '_v[0-9]+$'"),
              "");
}

// An index costs every write something: each that is no constraint's says what for.
TEST_F(Views, StandOnIndexesThatSayWhatTheyAreFor) {
    EXPECT_EQ(value("SELECT coalesce(string_agg(c.relname, ', '), '') FROM pg_index AS i "
                    "JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_class AS t ON t.oid = i.indrelid "
                    "WHERE c.relnamespace = 'runledger'::regnamespace AND NOT t.relispartition "
                    "AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = c.oid) "
                    "AND obj_description(c.oid, 'pg_class') IS NULL"),
              "");
}

}  // namespace
}  // namespace runledger::test
