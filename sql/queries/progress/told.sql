-- $1 run, $2 the message's id or NULL where it is not known.
UPDATE runledger.progress_messages SET message_id = coalesce($2::bigint, message_id) WHERE run_id = $1
