-- $1 a table's quoted name. Why nothing more can be said of it, NULL: nothing; its size; its rows, as far as they are
-- estimated; its own triggers that are enabled.
SELECT CASE
           WHEN to_regclass('runledger.generations') IS NOT NULL THEN 'there is a runledger.generations already: a table is taken over by the first migrate'
           WHEN c.oid IS NULL THEN 'there is no such table'
           WHEN c.relkind <> 'r' THEN 'it is no plain table' || CASE c.relkind WHEN 'p' THEN ' but a partitioned one: leave it, let the application insert into runledger.generations from now on, and import what is in it (docs/application.md)' ELSE '' END
           WHEN c.relpersistence = 't' THEN 'it is a temporary table'
       END,
       coalesce(pg_catalog.pg_size_pretty(pg_catalog.pg_table_size(c.oid)), ''),
       coalesce((SELECT string_agg(tgname, ', ' ORDER BY tgname) FROM pg_catalog.pg_trigger
                 WHERE tgrelid = c.oid AND NOT tgisinternal AND tgenabled <> 'D'), '')
FROM (SELECT to_regclass($1) AS oid) AS named
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = named.oid
