-- $1 text[] views, $2 text[] functions, $3 text[] triggers that migrate makes. In words, those that are not there, and
-- triggers that no session of the application's or the daemon's runs.
SELECT format('the view %s is missing', name) FROM unnest($1::text[]) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_class AS c
                  WHERE c.relnamespace = 'runledger'::regnamespace AND c.relkind = 'v' AND c.relname = wanted.name)
UNION ALL
SELECT format('the function %s is missing', name) FROM unnest($2::text[]) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_proc AS p
                  WHERE p.pronamespace = 'runledger'::regnamespace AND p.proname = wanted.name)
UNION ALL
SELECT format('the trigger %s is %s', name, CASE WHEN t.oid IS NULL THEN 'missing' ELSE 'disabled' END)
FROM unnest($3::text[]) AS wanted (name)
    LEFT JOIN (pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid AND c.relnamespace = 'runledger'::regnamespace
                   AND NOT c.relispartition)
        ON t.tgname = wanted.name
WHERE t.oid IS NULL OR t.tgenabled IN ('D', 'R')
ORDER BY 1
