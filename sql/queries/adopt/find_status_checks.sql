-- $1 a table's quoted name. The constraints on its column status alone: each one's name, and the expression that is true
-- of a word that it takes, NULL for a foreign key; for this the table and the column that it refers to.
SELECT k.conname, pg_catalog.pg_get_expr(k.conbin, k.conrelid),
       CASE WHEN k.confrelid <> 0 THEN k.confrelid::regclass::text END,
       (SELECT quote_ident(attname) FROM pg_catalog.pg_attribute WHERE attrelid = k.confrelid AND attnum = k.confkey[1])
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attname = 'status' AND NOT a.attisdropped
WHERE k.conrelid = to_regclass($1) AND k.contype IN ('c', 'f') AND k.conkey = ARRAY[a.attnum]
ORDER BY k.conname
