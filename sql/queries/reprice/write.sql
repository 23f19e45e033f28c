-- $1 bigint generation, $2 text gpu, $3 timestamptz from, $4 timestamptz to.
SELECT verdict, coalesce(detail, ''), coalesce(cost_before, 0), coalesce(cost_after, 0)
FROM runledger.reprice_generation($1::bigint, $2, $3::timestamptz, $4::timestamptz)
