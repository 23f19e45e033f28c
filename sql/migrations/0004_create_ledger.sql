-- What was received: every stored event once, by the name (segment, batch, index) that the edge gave it; how each run
-- stands, a function of the set of its events, whatever their order (docs/ARCHITECTURE.md, "Run state"); and the books,
-- which outlive the rows that they count.
CREATE TABLE runledger.spool_segments (
    segment_id uuid PRIMARY KEY,
    edge text NOT NULL,
    first_applied_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz,
    batch_count bigint,
    CONSTRAINT spool_segments_batch_count_iff_retired CHECK ((retired_at IS NULL) = (batch_count IS NULL))
);
CREATE INDEX spool_segments_retired_at_idx ON runledger.spool_segments (retired_at) WHERE retired_at IS NOT NULL;
COMMENT ON INDEX runledger.spool_segments_retired_at_idx IS 'Retention takes the oldest tombstones.';
COMMENT ON TABLE runledger.spool_segments IS
    'Each spool segment that sent a batch. A retired one stays as a tombstone, so that a late copy of its batches is never applied again. Written by the daemon.';
COMMENT ON COLUMN runledger.spool_segments.segment_id IS 'The segment''s random id, from its file''s name and header.';
COMMENT ON COLUMN runledger.spool_segments.edge IS 'The name of the nginx host whose batch came first.';
COMMENT ON COLUMN runledger.spool_segments.first_applied_at IS 'When the first of its batches was applied.';
COMMENT ON COLUMN runledger.spool_segments.retired_at IS
    'When every batch of the segment was acknowledged and the edge was allowed to unlink the file; NULL before.';
COMMENT ON COLUMN runledger.spool_segments.batch_count IS 'Number of batches in the segment; NULL before it is retired.';

CREATE TABLE runledger.ingested_batches (
    segment_id uuid NOT NULL REFERENCES runledger.spool_segments,
    batch_number bigint NOT NULL,
    digest bytea NOT NULL,
    event_count integer NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    copies bigint NOT NULL DEFAULT 0,
    quarantined_count integer NOT NULL DEFAULT 0,
    CONSTRAINT ingested_batches_pkey PRIMARY KEY (segment_id, batch_number),
    CONSTRAINT ingested_batches_batch_number_is_not_negative CHECK (batch_number >= 0),
    CONSTRAINT ingested_batches_digest_has_16_bytes CHECK (octet_length(digest) = 16),
    CONSTRAINT ingested_batches_has_events CHECK (event_count > 0),
    CONSTRAINT ingested_batches_quarantined_count_is_a_part CHECK (quarantined_count BETWEEN 0 AND event_count)
);
COMMENT ON TABLE runledger.ingested_batches IS
    'Each batch that was applied, until its segment is retired: a copy of a batch is recognised by this row. Written by the daemon.';
COMMENT ON COLUMN runledger.ingested_batches.segment_id IS 'The segment that holds the batch.';
COMMENT ON COLUMN runledger.ingested_batches.batch_number IS 'From 0, without gaps within a segment.';
COMMENT ON COLUMN runledger.ingested_batches.digest IS
    'XXH3-128 of the batch''s bytes; another digest under the same name is a conflict, kept in quarantine.';
COMMENT ON COLUMN runledger.ingested_batches.event_count IS 'Number of events in the batch.';
COMMENT ON COLUMN runledger.ingested_batches.applied_at IS 'The time of the transaction that applied it.';
COMMENT ON COLUMN runledger.ingested_batches.copies IS 'How often the batch came again after it was applied.';
COMMENT ON COLUMN runledger.ingested_batches.quarantined_count IS
    'How many of its events went to quarantine; the others are in webhook_events.';

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
-- A table without a primary key can't be updated while a publication has it. A key would cost every insert; this costs
-- only UPDATE and DELETE, of which there are few, and only while there is a publication. Each partition has its own:
-- make_event_day.
ALTER TABLE runledger.webhook_events REPLICA IDENTITY FULL;
ALTER TABLE runledger.webhook_events_default REPLICA IDENTITY FULL;
CREATE INDEX webhook_events_run_id_idx ON runledger.webhook_events (run_id, received_at);
COMMENT ON INDEX runledger.webhook_events_run_id_idx IS 'Finds what was received about a run, in order.';
CREATE INDEX webhook_events_received_at_idx ON runledger.webhook_events USING brin (received_at, applied_at);
COMMENT ON INDEX runledger.webhook_events_received_at_idx IS
    'Finds what was received, or stored, between two moments: rows lie in the order of applied_at and, except for events that waited in a spool, of received_at, so a few pages are enough for a minute.';
COMMENT ON TABLE runledger.webhook_events IS
    'Every stored event once, as it was received. Partitioned by the day of applied_at. Written by the daemon.';
COMMENT ON COLUMN runledger.webhook_events.applied_at IS 'The time of the transaction that applied it; it says nothing about the run.';
COMMENT ON COLUMN runledger.webhook_events.segment_id IS 'With batch_number and event_index, the event''s name. It never changes.';
COMMENT ON COLUMN runledger.webhook_events.batch_number IS 'The batch within the segment, from 0.';
COMMENT ON COLUMN runledger.webhook_events.event_index IS 'The event within the batch, from 0.';
COMMENT ON COLUMN runledger.webhook_events.edge IS 'The name of the nginx host that received it.';
COMMENT ON COLUMN runledger.webhook_events.received_at IS 'The edge''s wall clock when the event was received; the sender states no time.';
COMMENT ON COLUMN runledger.webhook_events.boot_id IS 'The boot of the edge''s kernel, within which boottime_us compares.';
COMMENT ON COLUMN runledger.webhook_events.boottime_us IS 'Microseconds since that boot when the event was received; immune to clock steps.';
COMMENT ON COLUMN runledger.webhook_events.redelivered IS
    'True: it came as GET, the sender''s second or third try, so it is late by up to 1.6 s and the duration of the earlier tries.';
COMMENT ON COLUMN runledger.webhook_events.run_id IS 'The run that it is about.';
COMMENT ON COLUMN runledger.webhook_events.event_type IS 'run.updated or run.output, as sent; run.updated if the sender left it out.';
COMMENT ON COLUMN runledger.webhook_events.status IS 'The sender''s status word, as sent.';
COMMENT ON COLUMN runledger.webhook_events.body IS 'The body''s bytes, unchanged. text, because jsonb can''t hold everything that the sender can write.';
COMMENT ON TABLE runledger.webhook_events_default IS 'Events of days that have no partition of their own.';

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
    batch_event_count integer,
    redelivered boolean,
    resolved_at timestamptz,
    resolution text,
    CONSTRAINT quarantine_scope_is_known CHECK (scope IN ('batch', 'event', 'output')),
    CONSTRAINT quarantine_names_its_event CHECK ((event_index IS NULL) = (scope = 'batch')),
    CONSTRAINT quarantine_batch_event_count_is_of_a_batch CHECK (batch_event_count IS NULL OR scope = 'batch'),
    CONSTRAINT quarantine_resolution_iff_resolved CHECK ((resolved_at IS NULL) = (resolution IS NULL))
);
CREATE INDEX quarantine_run_id_idx ON runledger.quarantine (run_id) WHERE run_id IS NOT NULL;
COMMENT ON INDEX runledger.quarantine_run_id_idx IS 'Finds the rows about a run.';
CREATE INDEX quarantine_quarantined_at_idx ON runledger.quarantine (quarantined_at);
COMMENT ON INDEX runledger.quarantine_quarantined_at_idx IS 'Retention takes the oldest rows.';
CREATE INDEX quarantine_open_idx ON runledger.quarantine (id) WHERE resolved_at IS NULL;
COMMENT ON INDEX runledger.quarantine_open_idx IS 'Finds the rows that are not resolved.';
COMMENT ON TABLE runledger.quarantine IS
    'What was received and could not be stored in its place, with the reason. Written by the daemon, read by people.';
COMMENT ON COLUMN runledger.quarantine.id IS 'A handle for people.';
COMMENT ON COLUMN runledger.quarantine.quarantined_at IS 'When it was stored here.';
COMMENT ON COLUMN runledger.quarantine.scope IS
    'batch: a whole batch whose name another batch has (its event_index is NULL). event: an event that has no row in webhook_events. output: one output of an event that is in webhook_events and took effect otherwise.';
COMMENT ON COLUMN runledger.quarantine.reason IS 'A word, and what PostgreSQL or the decoder said.';
COMMENT ON COLUMN runledger.quarantine.segment_id IS 'Of the event''s name.';
COMMENT ON COLUMN runledger.quarantine.batch_number IS 'Of the event''s name.';
COMMENT ON COLUMN runledger.quarantine.event_index IS 'Of the event''s name; NULL for a batch.';
COMMENT ON COLUMN runledger.quarantine.edge IS 'The nginx host that received it.';
COMMENT ON COLUMN runledger.quarantine.received_at IS 'When the edge received it; NULL for a batch.';
COMMENT ON COLUMN runledger.quarantine.boot_id IS 'The edge''s boot; NULL for a batch.';
COMMENT ON COLUMN runledger.quarantine.boottime_us IS 'Microseconds since that boot; NULL for a batch.';
COMMENT ON COLUMN runledger.quarantine.run_id IS 'The run that it is about; NULL if this can''t be read or stored.';
COMMENT ON COLUMN runledger.quarantine.content IS
    'The bytes: a batch''s frame (docs/wire-format.md), an event''s body, or an output.';
COMMENT ON COLUMN runledger.quarantine.batch_event_count IS
    'Number of events of a whole batch; NULL for the other scopes.';
COMMENT ON COLUMN runledger.quarantine.redelivered IS
    'True: the event came as GET, the sender''s second or third try; NULL: a batch or an output, or stored before this column existed.';
COMMENT ON COLUMN runledger.quarantine.resolved_at IS
    'When `runledger quarantine replay` stored it in its place, or, for an output that is stored with masked values, when that was; NULL: not yet.';
COMMENT ON COLUMN runledger.quarantine.resolution IS 'The result, a sentence for people; NULL: not yet.';

CREATE TYPE runledger.run_moment AS (
    received_at timestamptz, boot_id uuid, boottime_us bigint, redelivered boolean, digest bigint,
    status text, progress double precision, live_status text, error text);
COMMENT ON TYPE runledger.run_moment IS
    'When an event of a run was received, by both clocks of an edge. An ending also has its status, progress and texts; a running has NULLs there and digest 0.';

CREATE TABLE runledger.runs (
    run_id text COLLATE "C" PRIMARY KEY,
    not_started_at timestamptz,
    queued_at timestamptz,
    started_at timestamptz,
    running_at timestamptz,
    running_boot_id uuid,
    running_boottime_us bigint,
    running_redelivered boolean,
    uploading_at timestamptz,
    terminal_status text,
    finished_at timestamptz,
    finished_boot_id uuid,
    finished_boottime_us bigint,
    finished_redelivered boolean,
    finished_digest bigint,
    finished_progress double precision,
    finished_live_status text,
    finished_error text,
    latest_at timestamptz,
    latest_boot_id uuid,
    latest_boottime_us bigint,
    latest_redelivered boolean,
    latest_digest bigint,
    latest_status text,
    latest_progress double precision,
    latest_live_status text,
    first_received_at timestamptz,
    event_count bigint NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now(),
    status text GENERATED ALWAYS AS (
        CASE
            WHEN terminal_status IS NOT NULL THEN terminal_status
            WHEN uploading_at IS NOT NULL THEN 'uploading'
            WHEN running_at IS NOT NULL THEN 'running'
            WHEN started_at IS NOT NULL THEN 'started'
            WHEN queued_at IS NOT NULL THEN 'queued'
            WHEN not_started_at IS NOT NULL THEN 'not-started'
            ELSE 'unknown'
        END) STORED,
    reported_status text,
    reported_at timestamptz,
    reported_digest bigint,
    provider_started_at timestamptz,
    provider_ended_at timestamptz,
    running_other_boots runledger.run_moment[],
    finished_other_boots runledger.run_moment[],
    quiet_from timestamptz DEFAULT now(),
    CONSTRAINT runs_running_other_boots_have_a_first CHECK (running_other_boots IS NULL OR running_at IS NOT NULL),
    CONSTRAINT runs_finished_other_boots_have_a_first CHECK (finished_other_boots IS NULL OR finished_at IS NOT NULL),
    CONSTRAINT runs_terminal_status_is_known
        CHECK (terminal_status IN ('success', 'failed', 'timeout', 'cancelled')),
    CONSTRAINT runs_finished_stamp_is_whole
        CHECK (num_nulls(finished_at, finished_boot_id, finished_boottime_us, finished_redelivered, finished_digest) IN (0, 5)),
    CONSTRAINT runs_running_stamp_is_whole
        CHECK (num_nulls(running_at, running_boot_id, running_boottime_us, running_redelivered) IN (0, 4)),
    -- A run of which only the provider has told has no event of its own.
    CONSTRAINT runs_are_heard_of CHECK (event_count > 0 OR event_count = 0 AND reported_at IS NOT NULL),
    CONSTRAINT runs_latest_iff_events
        CHECK (num_nulls(latest_at, latest_boot_id, latest_boottime_us, latest_redelivered, latest_digest, latest_status,
                         first_received_at) = CASE event_count WHEN 0 THEN 7 ELSE 0 END),
    CONSTRAINT runs_report_is_whole CHECK (num_nulls(reported_status, reported_at, reported_digest) IN (0, 3)),
    CONSTRAINT runs_provider_times_are_of_a_report
        CHECK (reported_at IS NOT NULL OR provider_started_at IS NULL AND provider_ended_at IS NULL),
    CONSTRAINT runs_end_by_webhook_else_by_report
        CHECK (CASE WHEN finished_at IS NOT NULL THEN terminal_status IS NOT NULL
                    ELSE terminal_status IS NOT DISTINCT FROM reported_status END)
)
-- Each event updates its run's row. As long as no indexed column changes and its page has room, PostgreSQL does so
-- without touching an index (HOT). Retention removes its rows all the time, from the end of the index by changed_at that
-- it reads first: vacuum comes when a twentieth is dead, not a fifth.
WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX runs_ended_idx ON runledger.runs (changed_at) WHERE terminal_status IS NOT NULL;
COMMENT ON INDEX runledger.runs_ended_idx IS
    'Retention takes the oldest runs that have ended. Not by applied_at: it changes with each event, and the index would be written each time. Not BRIN: new rows reuse the pages of removed ones.';
CREATE INDEX runs_first_received_at_idx ON runledger.runs USING brin (first_received_at);
COMMENT ON INDEX runledger.runs_first_received_at_idx IS
    'Reports look for the runs of some days. As long as retention has not let new rows reuse old pages, BRIN finds them in a few pages; afterwards it is no worse than no index.';
CREATE INDEX runs_not_ended_idx ON runledger.runs (run_id) WHERE terminal_status IS NULL;
COMMENT ON INDEX runledger.runs_not_ended_idx IS
    'stuck_runs_v1 reads the runs that have not ended. Not by time: an index on applied_at would be written with every event.';
CREATE INDEX runs_quiet_idx ON runledger.runs (quiet_from) WHERE quiet_from IS NOT NULL AND terminal_status IS NULL;
COMMENT ON INDEX runledger.runs_quiet_idx IS
    'Reconcile reads the runs that may have become silent, and none of those that it looks up or has given up.';
CREATE INDEX runs_running_idx ON runledger.runs (running_at) WHERE terminal_status IS NULL AND running_at IS NOT NULL;
COMMENT ON INDEX runledger.runs_running_idx IS
    'Notify looks for runs whose progress may be sent. Not on latest_at, which every event changes.';
COMMENT ON TABLE runledger.runs IS
    'The state of each run, merged from all its events: the earliest moment of each status, the terminal event received first, the progress of the event received last. Written by the daemon.';
COMMENT ON COLUMN runledger.runs.run_id IS 'The provider''s id of the run.';
COMMENT ON COLUMN runledger.runs.not_started_at IS 'When an event with status not-started was first received; NULL: none was.';
COMMENT ON COLUMN runledger.runs.queued_at IS 'When queued was first received; NULL: it was not.';
COMMENT ON COLUMN runledger.runs.started_at IS 'When started was first received; NULL: it was not.';
COMMENT ON COLUMN runledger.runs.running_at IS 'When running was first received: the charged duration begins here; NULL: it was not.';
COMMENT ON COLUMN runledger.runs.running_other_boots IS
    'The first running of each other boot that received one, in order of wall time; NULL: one boot received all. Within a boot the boottime decides which is the first.';
COMMENT ON COLUMN runledger.runs.finished_other_boots IS
    'The first ending of each other boot that received one, in order of wall time; NULL: one boot received all.';
COMMENT ON COLUMN runledger.runs.running_boot_id IS 'The edge''s boot at that moment.';
COMMENT ON COLUMN runledger.runs.running_boottime_us IS 'Microseconds since that boot.';
COMMENT ON COLUMN runledger.runs.running_redelivered IS 'True: that event came as GET, so it is late by 1.6 s or more.';
COMMENT ON COLUMN runledger.runs.uploading_at IS 'When uploading was first received; NULL: it was not.';
COMMENT ON COLUMN runledger.runs.terminal_status IS
    'success, failed, timeout or cancelled: of the terminal event that was received first, by the boottime within a boot of the edge and by wall time between boots; without one, of the provider''s first report (then finished_at is NULL); NULL: not ended.';
COMMENT ON COLUMN runledger.runs.finished_at IS
    'When that event was received; NULL: not ended, or only the provider''s report says so.';
COMMENT ON COLUMN runledger.runs.finished_boot_id IS 'The edge''s boot at that moment.';
COMMENT ON COLUMN runledger.runs.finished_boottime_us IS 'Microseconds since that boot.';
COMMENT ON COLUMN runledger.runs.finished_redelivered IS 'True: that event came as GET, so it is late by 1.6 s or more.';
COMMENT ON COLUMN runledger.runs.finished_digest IS 'XXH3-64 of its body: decides between terminal events of the same instant.';
COMMENT ON COLUMN runledger.runs.finished_progress IS 'The ending''s progress, 0 to 1; NULL: it had none.';
COMMENT ON COLUMN runledger.runs.finished_live_status IS 'The ending''s live_status; NULL: it had none.';
COMMENT ON COLUMN runledger.runs.finished_error IS 'The ending''s error text; NULL: it had none (the usual case).';
COMMENT ON COLUMN runledger.runs.latest_at IS 'When the last event was received; NULL, like all latest_…: the run is only known from the provider''s report.';
COMMENT ON COLUMN runledger.runs.latest_boot_id IS 'The edge''s boot at that moment.';
COMMENT ON COLUMN runledger.runs.latest_boottime_us IS 'Microseconds since that boot.';
COMMENT ON COLUMN runledger.runs.latest_redelivered IS 'True: that event came as GET.';
COMMENT ON COLUMN runledger.runs.latest_digest IS 'XXH3-64 of its body: decides between events of the same instant.';
COMMENT ON COLUMN runledger.runs.latest_status IS 'Its status word, as sent, known or not.';
COMMENT ON COLUMN runledger.runs.latest_progress IS 'Its progress; NULL: it had none.';
COMMENT ON COLUMN runledger.runs.latest_live_status IS 'Its live_status; NULL: it had none.';
COMMENT ON COLUMN runledger.runs.first_received_at IS 'When the first event was received; NULL: none was.';
COMMENT ON COLUMN runledger.runs.event_count IS 'Number of stored events about the run; 0: it is only known from the provider''s report.';
COMMENT ON COLUMN runledger.runs.applied_at IS 'When the daemon last applied an event of it; it says nothing about the run.';
COMMENT ON COLUMN runledger.runs.quiet_from IS
    'Reconcile looks at the run when the shortest silence limit has passed since then, and moves it on if the run was heard meanwhile. The first event sets it; later ones do not change it, so that they stay cheap. NULL: since its last event the run was entered into reconcile_lookups, or is too old to be; the next event sets it again.';
COMMENT ON COLUMN runledger.runs.changed_at IS 'When the daemon last applied something that settlement depends on.';
COMMENT ON COLUMN runledger.runs.status IS 'The ending if there is one, else the furthest known status that was received. Generated.';
COMMENT ON COLUMN runledger.runs.reported_status IS
    'How the run ended by the provider''s first report; NULL: there is none. A webhook''s ending wins over it.';
COMMENT ON COLUMN runledger.runs.reported_at IS 'When that report was stored, by the database''s clock; NULL: there is none.';
COMMENT ON COLUMN runledger.runs.reported_digest IS 'XXH3-64 of its body: decides between reports of the same instant.';
COMMENT ON COLUMN runledger.runs.provider_started_at IS
    'Its started_at, by the provider''s clock and never compared with a receive time; NULL: no report, or it had none.';
COMMENT ON COLUMN runledger.runs.provider_ended_at IS 'Its ended_at, by the provider''s clock; NULL: no report, or it had none.';

CREATE TABLE runledger.run_other_statuses (
    run_id text COLLATE "C" NOT NULL REFERENCES runledger.runs,
    status text COLLATE "C" NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT run_other_statuses_pkey PRIMARY KEY (run_id, status)
);
COMMENT ON TABLE runledger.run_other_statuses IS
    'Unknown status words, with the earliest moment of each. Written by the daemon.';
COMMENT ON COLUMN runledger.run_other_statuses.run_id IS 'The run.';
COMMENT ON COLUMN runledger.run_other_statuses.status IS 'The word, as sent.';
COMMENT ON COLUMN runledger.run_other_statuses.received_at IS 'When it was first received.';

CREATE TABLE runledger.run_outputs (
    run_id text COLLATE "C" NOT NULL REFERENCES runledger.runs,
    output_key text COLLATE "C" NOT NULL,
    updated_at timestamptz NOT NULL,
    signed_links integer NOT NULL DEFAULT 0,
    received_at timestamptz NOT NULL,
    boot_id uuid NOT NULL,
    boottime_us bigint NOT NULL,
    digest bigint NOT NULL,
    position integer NOT NULL,
    output jsonb,
    CONSTRAINT run_outputs_pkey PRIMARY KEY (run_id, output_key)
)
WITH (autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON TABLE runledger.run_outputs IS
    'The outputs of each run, one row for each output, with its newest version. An empty list never erases one. Written by the daemon.';
COMMENT ON COLUMN runledger.run_outputs.run_id IS 'The run.';
COMMENT ON COLUMN runledger.run_outputs.output_key IS 'The output''s id; if it has none, # and the digest of its bytes in hexadecimal.';
COMMENT ON COLUMN runledger.run_outputs.updated_at IS 'The provider''s updated_at: the newer version wins; -infinity if it is absent or unreadable.';
COMMENT ON COLUMN runledger.run_outputs.signed_links IS
    'Number of signed links in this version; decides if updated_at is equal, so that a link without a signature never replaces a signed one.';
COMMENT ON COLUMN runledger.run_outputs.received_at IS 'When the edge received this version; decides if that is equal, too.';
COMMENT ON COLUMN runledger.run_outputs.boot_id IS
    'The edge''s boot at that moment; decides next. All zeros: it came with a provider''s report, and received_at is the report''s.';
COMMENT ON COLUMN runledger.run_outputs.boottime_us IS 'Microseconds since that boot; decides next.';
COMMENT ON COLUMN runledger.run_outputs.digest IS 'XXH3-64 of the output''s bytes; decides last.';
COMMENT ON COLUMN runledger.run_outputs.position IS 'Its index in the outputs of the event that it came with.';
COMMENT ON COLUMN runledger.run_outputs.output IS 'The output as sent. Values that jsonb can''t hold are masked, with null or U+FFFD in their place; NULL if that is not enough. In both cases its bytes are in quarantine.';

CREATE TABLE runledger.forgotten_runs (
    run_digest bytea PRIMARY KEY,
    forgotten_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT forgotten_runs_digest_has_32_bytes CHECK (octet_length(run_digest) = 32)
);
COMMENT ON TABLE runledger.forgotten_runs IS
    'Runs whose person was forgotten. Apply stores a late event of such a run under the pseudonym, without its content. Written by `runledger forget`, never deleted.';
COMMENT ON COLUMN runledger.forgotten_runs.run_digest IS 'SHA-256 of the run''s id, which is no longer stored anywhere.';
COMMENT ON COLUMN runledger.forgotten_runs.forgotten_at IS 'When it was forgotten.';

CREATE TABLE runledger.ledger_days (
    segment_id uuid NOT NULL,
    day date NOT NULL,
    edge text NOT NULL,
    batches bigint NOT NULL,
    stored bigint NOT NULL,
    applied bigint NOT NULL,
    duplicate bigint NOT NULL,
    quarantined bigint NOT NULL,
    CONSTRAINT ledger_days_pkey PRIMARY KEY (segment_id, day),
    CONSTRAINT ledger_days_add_up CHECK (stored = applied + duplicate + quarantined),
    CONSTRAINT ledger_days_counts_are_not_negative
        CHECK (batches >= 0 AND applied >= 0 AND duplicate >= 0 AND quarantined >= 0)
);
COMMENT ON TABLE runledger.ledger_days IS
    'The books of retired segments, by day. Apply sums them up from ingested_batches when a segment is retired, and adds later copies of its batches as they come. Never deleted. Read it through ledger_days_v1, which includes the open segments.';
COMMENT ON COLUMN runledger.ledger_days.segment_id IS 'The segment; no foreign key, because the books outlive its tombstone.';
COMMENT ON COLUMN runledger.ledger_days.day IS
    'The UTC day of the transaction that applied the batch. Copies of it count on the same day, unless they came after the segment was retired.';
COMMENT ON COLUMN runledger.ledger_days.edge IS 'The nginx host whose segment it was.';
COMMENT ON COLUMN runledger.ledger_days.batches IS 'Batches that were applied.';
COMMENT ON COLUMN runledger.ledger_days.stored IS
    'Events of all batches that came from the edge''s spool; a batch counts each time it came: applied + duplicate + quarantined.';
COMMENT ON COLUMN runledger.ledger_days.applied IS 'Of these, events with a row in webhook_events.';
COMMENT ON COLUMN runledger.ledger_days.duplicate IS 'Of these, events of copies of batches: they took no effect.';
COMMENT ON COLUMN runledger.ledger_days.quarantined IS
    'Of these, events that are in quarantine instead, alone or with their whole batch.';

CREATE TABLE runledger.ledger_removals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    removed_at timestamptz NOT NULL DEFAULT now(),
    removed_by text NOT NULL DEFAULT session_user,
    from_table text NOT NULL,
    segment_id uuid,
    day date,
    events bigint NOT NULL,
    is_simulated boolean NOT NULL DEFAULT false,
    CONSTRAINT ledger_removals_from_table_is_known CHECK (from_table IN ('webhook_events', 'quarantine', 'runs')),
    CONSTRAINT ledger_removals_name_the_entry
        CHECK (num_nulls(segment_id, day) = CASE from_table WHEN 'runs' THEN 2 ELSE 0 END),
    CONSTRAINT ledger_removals_events_are_positive CHECK (events > 0)
);
COMMENT ON TABLE runledger.ledger_removals IS
    'Events whose rows were deleted: one row for each statement, segment and day; written by triggers. Dropped or truncated partitions are not here, because the books have their days.';
COMMENT ON COLUMN runledger.ledger_removals.id IS 'The order of the deletions.';
COMMENT ON COLUMN runledger.ledger_removals.removed_at IS 'The time of the transaction that deleted them.';
COMMENT ON COLUMN runledger.ledger_removals.removed_by IS 'The role that had logged in.';
COMMENT ON COLUMN runledger.ledger_removals.from_table IS
    'webhook_events or quarantine: rows of it. runs: the events that deleted runs had counted.';
COMMENT ON COLUMN runledger.ledger_removals.segment_id IS 'The segment whose events they were; NULL for runs.';
COMMENT ON COLUMN runledger.ledger_removals.day IS 'The UTC day on which they had been applied or quarantined; NULL for runs.';
COMMENT ON COLUMN runledger.ledger_removals.events IS 'How many.';
COMMENT ON COLUMN runledger.ledger_removals.is_simulated IS
    'True: all of them were made up by `runledger simulate`, which has removed them.';

CREATE TABLE runledger.ledger_replays (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    replayed_at timestamptz NOT NULL DEFAULT now(),
    replayed_by text NOT NULL DEFAULT session_user,
    segment_id uuid NOT NULL,
    batch_number bigint NOT NULL,
    event_index integer NOT NULL,
    CONSTRAINT ledger_replays_are_made_once UNIQUE (segment_id, batch_number, event_index)
);
COMMENT ON TABLE runledger.ledger_replays IS
    'Events that are in webhook_events although the books count them as quarantined, because an operator had them applied later. Written by note_replayed_event.';
COMMENT ON COLUMN runledger.ledger_replays.id IS 'The order in which they were applied.';
COMMENT ON COLUMN runledger.ledger_replays.replayed_at IS 'The time of the transaction, and so the event''s applied_at.';
COMMENT ON COLUMN runledger.ledger_replays.replayed_by IS 'The role that had logged in.';
COMMENT ON COLUMN runledger.ledger_replays.segment_id IS 'Of the event''s name.';
COMMENT ON COLUMN runledger.ledger_replays.batch_number IS 'Of the event''s name.';
COMMENT ON COLUMN runledger.ledger_replays.event_index IS 'Of the event''s name.';
