-- $1 text source. It is read from its beginning.
WITH gone AS (DELETE FROM runledger.import_refusals WHERE source = $1)
UPDATE runledger.imports SET position_bytes = 0, before_position = '', line_count = 0 WHERE source = $1
