-- $1 boolean whether there is a url, $2 text[] host suffixes, $3 text[] keys of metadata, $4 text[] events. What
-- settlements write webhooks by, from now on; unchanged settings write nothing.
INSERT INTO runledger.webhook_settings AS known (to_url, host_suffixes, metadata_keys, events)
VALUES ($1::boolean, $2::text[], $3::text[], $4::text[])
ON CONFLICT (is_the_only_row) DO UPDATE
SET to_url = excluded.to_url, host_suffixes = excluded.host_suffixes, metadata_keys = excluded.metadata_keys,
    events = excluded.events, changed_at = now()
WHERE (known.to_url, known.host_suffixes, known.metadata_keys, known.events)
      IS DISTINCT FROM (excluded.to_url, excluded.host_suffixes, excluded.metadata_keys, excluded.events)
