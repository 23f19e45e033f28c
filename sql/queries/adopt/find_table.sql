-- $1 a table's quoted name. Whether it can be looked at; if not, why; its size, its own triggers.
SELECT t.fault IS NULL, t.fault, t.size, t.triggers
FROM (SELECT to_regclass($1) AS oid) AS named
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = named.oid
CROSS JOIN LATERAL (
    SELECT CASE
               WHEN to_regclass('runledger.generations') IS NOT NULL THEN 'there is a runledger.generations already: a table is taken over by the first migrate'
               WHEN c.oid IS NULL THEN 'there is no such table'
               WHEN c.relkind <> 'r' OR c.relispartition OR EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE c.oid IN (inhparent, inhrelid))
                   THEN 'it is no plain table'
               WHEN NOT pg_catalog.pg_has_role(c.relowner, 'USAGE') THEN format('its owner is %s, which %s is not', c.relowner::regrole, current_user)
               WHEN c.relrowsecurity THEN 'it has row security'
               WHEN NOT EXISTS (
                   SELECT FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
                   WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1 AND i.indpred IS NULL AND a.attname = 'id')
                   THEN 'it has no primary key or unique index on id alone'
           END AS fault,
           coalesce(pg_catalog.pg_size_pretty(pg_catalog.pg_table_size(c.oid)), '') AS size,
           coalesce((SELECT string_agg(tgname, ', ' ORDER BY tgname) FROM pg_catalog.pg_trigger
                     WHERE tgrelid = c.oid AND NOT tgisinternal), '') AS triggers) AS t
