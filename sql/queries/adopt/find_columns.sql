-- $1 a table's quoted name. Its columns in their order: name, type, whether it is NOT NULL, whether it is generated from
-- others, whether its type is an enum.
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attgenerated <> '',
       t.typtype = 'e' AS is_enum
FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
