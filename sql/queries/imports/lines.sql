-- $1 text source, $2 bigint[] numbers, $3 bytea[] lines; NULL: it is too long. What became of each.
SELECT line_number, outcome, reason FROM runledger.import_lines($1::text, $2::bigint[], $3::bytea[])
