-- $1 text source, $2 bigint where it was, $3 bigint where it is now, $4 bytea digest of the bytes before, $5 bigint lines
-- before; $6 to $9 bigint imported, changed, repeated, refused. No row: somebody else has moved it.
INSERT INTO runledger.imports AS i (
    source, position_bytes, before_position, line_count, imported, changed, repeated, refused)
VALUES ($1, $3::bigint, $4::bytea, $5::bigint, $6::bigint, $7::bigint, $8::bigint, $9::bigint)
ON CONFLICT (source) DO UPDATE SET
    position_bytes = excluded.position_bytes, before_position = excluded.before_position,
    line_count = excluded.line_count, imported = i.imported + excluded.imported,
    changed = i.changed + excluded.changed, repeated = i.repeated + excluded.repeated,
    refused = i.refused + excluded.refused, updated_at = now()
    WHERE i.position_bytes = $2::bigint
RETURNING i.source
