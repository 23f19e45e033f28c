-- What was received: every stored event once, by the name (segment, batch, index) that the edge gave it.
CREATE TABLE runledger.spool_segments (
    segment_id uuid PRIMARY KEY,
    edge text NOT NULL,
    first_applied_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz,
    batch_count bigint,
    CONSTRAINT spool_segments_batch_count_iff_retired CHECK ((retired_at IS NULL) = (batch_count IS NULL))
);
COMMENT ON TABLE runledger.spool_segments IS
    'Each spool segment that sent a batch. A retired one stays as a tombstone, so that a late copy of its batches is never applied again. Written by the daemon.';
COMMENT ON COLUMN runledger.spool_segments.segment_id IS 'The segment''s random id, from its file''s name and header.';
COMMENT ON COLUMN runledger.spool_segments.edge IS 'The name of the nginx host whose batch came first.';
COMMENT ON COLUMN runledger.spool_segments.first_applied_at IS 'When the first of its batches was applied.';
COMMENT ON COLUMN runledger.spool_segments.retired_at IS
    'When the edge had every batch acknowledged and was free to unlink the file; NULL before.';
COMMENT ON COLUMN runledger.spool_segments.batch_count IS 'How many batches the segment held; NULL before it is retired.';

CREATE TABLE runledger.ingested_batches (
    segment_id uuid NOT NULL REFERENCES runledger.spool_segments,
    batch_number bigint NOT NULL,
    digest bytea NOT NULL,
    event_count integer NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    copies bigint NOT NULL DEFAULT 0,
    CONSTRAINT ingested_batches_pkey PRIMARY KEY (segment_id, batch_number),
    CONSTRAINT ingested_batches_batch_number_is_not_negative CHECK (batch_number >= 0),
    CONSTRAINT ingested_batches_digest_has_16_bytes CHECK (octet_length(digest) = 16),
    CONSTRAINT ingested_batches_has_events CHECK (event_count > 0)
);
COMMENT ON TABLE runledger.ingested_batches IS
    'Each batch that was applied, until its segment is retired: the second copy of a batch meets its row here. Written by the daemon.';
COMMENT ON COLUMN runledger.ingested_batches.segment_id IS 'The segment that holds the batch.';
COMMENT ON COLUMN runledger.ingested_batches.batch_number IS 'From 0, without gaps within a segment.';
COMMENT ON COLUMN runledger.ingested_batches.digest IS
    'XXH3-128 of the batch''s bytes; another digest under the same name is a conflict, kept in quarantine.';
COMMENT ON COLUMN runledger.ingested_batches.event_count IS 'How many events the batch holds.';
COMMENT ON COLUMN runledger.ingested_batches.applied_at IS 'The time of the transaction that applied it.';
COMMENT ON COLUMN runledger.ingested_batches.copies IS 'How often the batch came again after it was applied.';

CREATE TABLE runledger.webhook_events (
    applied_at timestamptz NOT NULL DEFAULT now(),
    segment_id uuid NOT NULL,
    batch_number bigint NOT NULL,
    event_index integer NOT NULL,
    edge text NOT NULL,
    received_at timestamptz NOT NULL,
    boot_id uuid NOT NULL,
    boottime_us bigint NOT NULL,
    redelivered boolean NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    event_type text NOT NULL,
    status text NOT NULL,
    body text NOT NULL
) PARTITION BY RANGE (applied_at);
CREATE TABLE runledger.webhook_events_default PARTITION OF runledger.webhook_events DEFAULT;
CREATE INDEX webhook_events_run_id_idx ON runledger.webhook_events (run_id, received_at);
COMMENT ON INDEX runledger.webhook_events_run_id_idx IS 'For "what did we receive about this run, in order?"';
COMMENT ON TABLE runledger.webhook_events IS
    'Every stored event, as it came, once. Partitioned by the day of applied_at. Written by the daemon.';
COMMENT ON TABLE runledger.webhook_events_default IS 'Events of days that have no partition of their own.';
COMMENT ON COLUMN runledger.webhook_events.applied_at IS 'The time of the transaction that applied it: the daemon''s news, not the run''s.';
COMMENT ON COLUMN runledger.webhook_events.segment_id IS 'With batch_number and event_index, the event''s name for ever.';
COMMENT ON COLUMN runledger.webhook_events.batch_number IS 'The batch within the segment, from 0.';
COMMENT ON COLUMN runledger.webhook_events.event_index IS 'The event within the batch, from 0.';
COMMENT ON COLUMN runledger.webhook_events.edge IS 'The name of the nginx host that received it.';
COMMENT ON COLUMN runledger.webhook_events.received_at IS 'The edge''s wall clock when the event was received; the sender tells no time.';
COMMENT ON COLUMN runledger.webhook_events.boot_id IS 'The boot of the edge''s kernel, within which boottime_us compares.';
COMMENT ON COLUMN runledger.webhook_events.boottime_us IS 'Microseconds since that boot when the event was received; immune to clock steps.';
COMMENT ON COLUMN runledger.webhook_events.redelivered IS
    'True: came as GET, the sender''s second or third try, so up to 1.6 s and the earlier tries late.';
COMMENT ON COLUMN runledger.webhook_events.run_id IS 'The run it tells of.';
COMMENT ON COLUMN runledger.webhook_events.event_type IS 'run.updated or run.output, as sent; run.updated where the sender left it out.';
COMMENT ON COLUMN runledger.webhook_events.status IS 'The sender''s status word, as sent.';
COMMENT ON COLUMN runledger.webhook_events.body IS 'The body''s bytes, untouched. text, since jsonb can''t hold all that the sender can write.';

CREATE TABLE runledger.quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    scope text NOT NULL,
    reason text NOT NULL,
    segment_id uuid NOT NULL,
    batch_number bigint NOT NULL,
    event_index integer,
    edge text NOT NULL,
    received_at timestamptz,
    boot_id uuid,
    boottime_us bigint,
    run_id text COLLATE "C",
    content bytea NOT NULL,
    CONSTRAINT quarantine_scope_is_known CHECK (scope IN ('batch', 'event', 'output')),
    CONSTRAINT quarantine_names_its_event CHECK ((event_index IS NULL) = (scope = 'batch'))
);
CREATE INDEX quarantine_run_id_idx ON runledger.quarantine (run_id) WHERE run_id IS NOT NULL;
COMMENT ON INDEX runledger.quarantine_run_id_idx IS 'For "was anything of this run set aside?"';
COMMENT ON TABLE runledger.quarantine IS
    'What was received and can''t be stored where it belongs, with the reason. Written by the daemon; looked at by people.';
COMMENT ON COLUMN runledger.quarantine.id IS 'A handle for people.';
COMMENT ON COLUMN runledger.quarantine.quarantined_at IS 'When it was set aside.';
COMMENT ON COLUMN runledger.quarantine.scope IS
    'batch: a whole batch whose name is taken by another (its event_index is NULL). event: an event that has no row in webhook_events. output: one output of an event that is in webhook_events and took effect otherwise.';
COMMENT ON COLUMN runledger.quarantine.reason IS 'A word, and what PostgreSQL or the decoder said.';
COMMENT ON COLUMN runledger.quarantine.segment_id IS 'Of the event''s name.';
COMMENT ON COLUMN runledger.quarantine.batch_number IS 'Of the event''s name.';
COMMENT ON COLUMN runledger.quarantine.event_index IS 'Of the event''s name; NULL for a batch.';
COMMENT ON COLUMN runledger.quarantine.edge IS 'The nginx host that received it.';
COMMENT ON COLUMN runledger.quarantine.received_at IS 'When the edge received it; NULL for a batch.';
COMMENT ON COLUMN runledger.quarantine.boot_id IS 'The edge''s boot; NULL for a batch.';
COMMENT ON COLUMN runledger.quarantine.boottime_us IS 'Microseconds since that boot; NULL for a batch.';
COMMENT ON COLUMN runledger.quarantine.run_id IS 'The run it tells of; NULL where that can''t be read or stored.';
COMMENT ON COLUMN runledger.quarantine.content IS 'The bytes that were set aside: a frame, a body or an output.';
