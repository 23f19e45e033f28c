-- $1 text source, $2 bigint[] numbers, $3 bytea[] lines; NULL: it is too long. $4, $5 text[] the keys of the time of the
-- request and of the ending. What became of each.
SELECT line_number, outcome, reason, is_undated
FROM runledger.import_lines($1::text, $2::bigint[], $3::bytea[], $4::text[], $5::text[])
