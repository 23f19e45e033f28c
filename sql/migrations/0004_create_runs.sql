-- How each run stands: a function of the set of its events, whatever their order (docs/ARCHITECTURE.md, "Run state").
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
    latest_at timestamptz NOT NULL,
    latest_boot_id uuid NOT NULL,
    latest_boottime_us bigint NOT NULL,
    latest_redelivered boolean NOT NULL,
    latest_digest bigint NOT NULL,
    latest_status text NOT NULL,
    latest_progress double precision,
    latest_live_status text,
    first_received_at timestamptz NOT NULL,
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
    CONSTRAINT runs_terminal_status_is_known
        CHECK (terminal_status IN ('success', 'failed', 'timeout', 'cancelled')),
    CONSTRAINT runs_finished_at_iff_terminal CHECK ((terminal_status IS NULL) = (finished_at IS NULL)),
    CONSTRAINT runs_finished_stamp_is_whole
        CHECK (num_nulls(finished_at, finished_boot_id, finished_boottime_us, finished_redelivered, finished_digest) IN (0, 5)),
    CONSTRAINT runs_running_stamp_is_whole
        CHECK (num_nulls(running_at, running_boot_id, running_boottime_us, running_redelivered) IN (0, 4)),
    CONSTRAINT runs_event_count_is_positive CHECK (event_count > 0)
);
COMMENT ON TABLE runledger.runs IS
    'How each run stands, merged from all its events: the earliest moment of each status, the terminal event received first, progress of the event received last. Written by the daemon.';
COMMENT ON COLUMN runledger.runs.run_id IS 'The provider''s id of the run.';
COMMENT ON COLUMN runledger.runs.not_started_at IS 'When an event with status not-started was first received; NULL: none was.';
COMMENT ON COLUMN runledger.runs.queued_at IS 'When queued was first received; NULL: it was not.';
COMMENT ON COLUMN runledger.runs.started_at IS 'When started was first received; NULL: it was not.';
COMMENT ON COLUMN runledger.runs.running_at IS 'When running was first received: what is charged begins here; NULL: it was not.';
COMMENT ON COLUMN runledger.runs.running_boot_id IS 'The edge''s boot at that moment.';
COMMENT ON COLUMN runledger.runs.running_boottime_us IS 'Microseconds since that boot.';
COMMENT ON COLUMN runledger.runs.running_redelivered IS 'True: that event came as GET, up to 1.6 s and more late.';
COMMENT ON COLUMN runledger.runs.uploading_at IS 'When uploading was first received; NULL: it was not.';
COMMENT ON COLUMN runledger.runs.terminal_status IS 'success, failed, timeout or cancelled: of the terminal event that was received first; NULL: not ended.';
COMMENT ON COLUMN runledger.runs.finished_at IS 'When that event was received; NULL: not ended.';
COMMENT ON COLUMN runledger.runs.finished_boot_id IS 'The edge''s boot at that moment.';
COMMENT ON COLUMN runledger.runs.finished_boottime_us IS 'Microseconds since that boot.';
COMMENT ON COLUMN runledger.runs.finished_redelivered IS 'True: that event came as GET, up to 1.6 s and more late.';
COMMENT ON COLUMN runledger.runs.finished_digest IS 'XXH3-64 of its body: decides between terminal events of the same instant.';
COMMENT ON COLUMN runledger.runs.finished_progress IS 'Its progress, 0 to 1 as the sender said; NULL: it said none.';
COMMENT ON COLUMN runledger.runs.finished_live_status IS 'Its live_status; NULL: it had none.';
COMMENT ON COLUMN runledger.runs.finished_error IS 'Its error text; NULL: it had none (the usual case).';
COMMENT ON COLUMN runledger.runs.latest_at IS 'When the last event was received.';
COMMENT ON COLUMN runledger.runs.latest_boot_id IS 'The edge''s boot at that moment.';
COMMENT ON COLUMN runledger.runs.latest_boottime_us IS 'Microseconds since that boot.';
COMMENT ON COLUMN runledger.runs.latest_redelivered IS 'True: that event came as GET.';
COMMENT ON COLUMN runledger.runs.latest_digest IS 'XXH3-64 of its body: decides between events of the same instant.';
COMMENT ON COLUMN runledger.runs.latest_status IS 'Its status word, as sent, known or not.';
COMMENT ON COLUMN runledger.runs.latest_progress IS 'Its progress; NULL: it said none.';
COMMENT ON COLUMN runledger.runs.latest_live_status IS 'Its live_status; NULL: it had none.';
COMMENT ON COLUMN runledger.runs.first_received_at IS 'When the first event was received.';
COMMENT ON COLUMN runledger.runs.event_count IS 'How many stored events told of the run.';
COMMENT ON COLUMN runledger.runs.applied_at IS 'When the daemon last applied an event of it: the daemon''s news, not the run''s.';
COMMENT ON COLUMN runledger.runs.changed_at IS 'When the daemon last applied something that settlement depends on.';
COMMENT ON COLUMN runledger.runs.status IS 'The ending if there is one, else the furthest known status that was received. Generated.';

CREATE TABLE runledger.run_other_statuses (
    run_id text COLLATE "C" NOT NULL REFERENCES runledger.runs,
    status text COLLATE "C" NOT NULL,
    received_at timestamptz NOT NULL,
    CONSTRAINT run_other_statuses_pkey PRIMARY KEY (run_id, status)
);
COMMENT ON TABLE runledger.run_other_statuses IS
    'Status words that are not among the sender''s known ones, with the earliest moment of each. Written by the daemon.';
COMMENT ON COLUMN runledger.run_other_statuses.run_id IS 'The run.';
COMMENT ON COLUMN runledger.run_other_statuses.status IS 'The word, as sent.';
COMMENT ON COLUMN runledger.run_other_statuses.received_at IS 'When it was first received.';

CREATE TABLE runledger.run_outputs (
    run_id text COLLATE "C" NOT NULL REFERENCES runledger.runs,
    output_key text COLLATE "C" NOT NULL,
    updated_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    boot_id uuid NOT NULL,
    boottime_us bigint NOT NULL,
    digest bigint NOT NULL,
    position integer NOT NULL,
    output jsonb,
    CONSTRAINT run_outputs_pkey PRIMARY KEY (run_id, output_key)
);
COMMENT ON TABLE runledger.run_outputs IS
    'What each run made, one row an output, the newest version of each. An empty list never erases one. Written by the daemon.';
COMMENT ON COLUMN runledger.run_outputs.run_id IS 'The run.';
COMMENT ON COLUMN runledger.run_outputs.output_key IS 'The output''s id; or, where it has none, # and the digest of its bytes in hexadecimal.';
COMMENT ON COLUMN runledger.run_outputs.updated_at IS 'The provider''s updated_at: the newer version wins; -infinity where it is absent or unreadable.';
COMMENT ON COLUMN runledger.run_outputs.received_at IS 'When the edge received this version; decides where updated_at is the same.';
COMMENT ON COLUMN runledger.run_outputs.boot_id IS 'The edge''s boot at that moment; decides where that is the same too.';
COMMENT ON COLUMN runledger.run_outputs.boottime_us IS 'Microseconds since that boot; likewise.';
COMMENT ON COLUMN runledger.run_outputs.digest IS 'XXH3-64 of the output''s bytes; decides last.';
COMMENT ON COLUMN runledger.run_outputs.position IS 'Its index in the outputs of the event that it came with.';
COMMENT ON COLUMN runledger.run_outputs.output IS 'The output as sent; NULL where jsonb can''t hold it: then its bytes are in quarantine.';
