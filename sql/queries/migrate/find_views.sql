-- $1 text[] views, with their schema, $2 text[] but not these. Those that are there.
SELECT DISTINCT c.oid::regclass::text
FROM unnest($1::text[]) AS named (name)
JOIN pg_catalog.pg_class AS c ON c.oid = to_regclass(named.name) AND c.relkind = 'v'
WHERE named.name <> ALL ($2::text[])
