-- $1 text source. How far it was read: bytes, a digest of those before, lines. No row: never.
SELECT position_bytes, before_position::text, line_count FROM runledger.imports WHERE source = $1
