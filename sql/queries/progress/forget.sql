-- $1 run: its message is deleted, or was not to be found.
DELETE FROM runledger.progress_messages WHERE run_id = $1
