-- Before the looks, for their transaction alone: each goes along an index and ends at its LIMIT. The statistics of a queue
-- are those of when it was empty, and would have PostgreSQL read and sort all of it.
SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off
