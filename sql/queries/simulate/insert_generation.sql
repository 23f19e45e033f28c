-- $1 text run. Only in a transaction that is rolled back. The rate is that of settled_row.sql.
INSERT INTO runledger.generations (metadata)
VALUES (jsonb_build_object('run_id', $1::text, 'costRate',
                           jsonb_build_object('amount', '0.0001', 'currency', 'USD', 'unit', 'second')))
