-- $1 bigint the last id that was filled, $2 integer how many. The trigger does the filling; a row that has nothing to fill
-- is left alone. The last id of this batch, NULL: there is none; and how many rows were filled.
WITH batch AS MATERIALIZED (
    SELECT id, run_id IS DISTINCT FROM runledger.run_id_of(metadata)
               OR telegram_chat_id IS DISTINCT FROM runledger.chat_id_of(metadata)
               OR group_key IS DISTINCT FROM runledger.group_key_of(metadata)
               OR group_size IS DISTINCT FROM runledger.group_size_of(metadata)
               OR account_key IS DISTINCT FROM runledger.account_key_of(metadata)
               OR tool_key IS DISTINCT FROM runledger.tool_key_of(metadata) AS is_to_fill
    FROM runledger.generations WHERE id > $1::bigint ORDER BY id LIMIT $2::integer
),
filled AS (
    UPDATE runledger.generations AS g SET metadata = g.metadata
    FROM batch WHERE g.id = batch.id AND batch.is_to_fill
    RETURNING g.id
)
SELECT (SELECT max(id) FROM batch), (SELECT count(*) FROM filled)
