-- Bytes of each table with its TOAST, of each index, and per row.
\pset format aligned
SELECT c.relname AS "table or index", c.reltuples::bigint AS rows,
       pg_size_pretty(CASE c.relkind WHEN 'i' THEN pg_relation_size(c.oid) ELSE pg_table_size(c.oid) END) AS size,
       round(CASE c.relkind WHEN 'i' THEN pg_relation_size(c.oid) ELSE pg_table_size(c.oid) END
             / nullif(c.reltuples, 0)::numeric) AS "bytes a row"
FROM pg_class AS c
LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
WHERE c.relnamespace = 'runledger'::regnamespace AND c.relkind IN ('r', 'i') AND c.reltuples >= 1000
ORDER BY coalesce((SELECT relname FROM pg_class AS t WHERE t.oid = i.indrelid), c.relname), c.relkind DESC, c.relname;
