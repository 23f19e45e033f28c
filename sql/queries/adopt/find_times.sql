-- $1 text which columns of adoption's, $2 text a column of the application's that is kept beside the ledger's, empty: none.
-- An expression for each column that tells a time, the first one first.
SELECT CASE
           WHEN a.atttypid = 'timestamptz'::regtype THEN format('runledger.usual_time(g.%I)', a.attname)
           WHEN a.atttypid = 'timestamp'::regtype THEN format('runledger.usual_time(g.%I AT TIME ZONE ''UTC'')', a.attname)
           ELSE format('runledger.time_said(g.%I::text)', a.attname) END
FROM (
    SELECT 0, $2::text
    UNION ALL
    SELECT told.place, told.name
    FROM runledger.adoption AS t
    CROSS JOIN unnest(CASE $1::text WHEN 'requested_at' THEN t.requested_at ELSE t.ended_at END)
        WITH ORDINALITY AS told (name, place)) AS wanted (place, name)
JOIN pg_catalog.pg_attribute AS a
    ON a.attrelid = 'runledger.generations'::regclass AND a.attname = wanted.name AND NOT a.attisdropped
ORDER BY wanted.place
