-- $1 least milliseconds between two notifications about a run, $2 how many runs. Returns how many were told.
SELECT runledger.tell_progress($1::bigint * interval '1 millisecond', $2::integer) AS told
