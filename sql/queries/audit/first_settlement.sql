-- $1 date: since when. The id before the first settlement since then. OFFSET 0: found by settled_at, not by reading all
-- earlier ids.
SELECT coalesce(min(id), 9223372036854775807) - 1 FROM (
    SELECT id FROM runledger.settlements WHERE settled_at >= $1::date::timestamp AT TIME ZONE 'UTC' OFFSET 0) AS since
