CREATE OR REPLACE VIEW runledger.status_words_v1 AS
SELECT coalesce(w.word, g.word) AS word, w.status, coalesce(w.is_written, false) AS is_written,
       coalesce(w.is_kept, false) AS is_kept, coalesce(g.generations, 0) AS generations
FROM runledger.status_words AS w
FULL JOIN (
    SELECT application_status::text AS word, count(*) AS generations
    FROM runledger.generations WHERE application_status IS NOT NULL GROUP BY 1) AS g ON g.word = w.word;
COMMENT ON VIEW runledger.status_words_v1 IS
    'The status words of an adopted application, and how many generations have each. Those without a status are unknown to the ledger: such a row keeps the status that it had.';
COMMENT ON COLUMN runledger.status_words_v1.word IS 'As the application writes it.';
COMMENT ON COLUMN runledger.status_words_v1.status IS 'What it means; NULL: it is not in status_words.';
COMMENT ON COLUMN runledger.status_words_v1.is_written IS 'Whether the daemon writes it for this status.';
COMMENT ON COLUMN runledger.status_words_v1.is_kept IS 'Whether the daemon never replaces it.';
COMMENT ON COLUMN runledger.status_words_v1.generations IS 'How many generations have it now.';
