-- What the provider says of a run when it is asked, since some endings send no webhook.
CREATE TABLE runledger.provider_reports (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text COLLATE "C" NOT NULL,
    fetched_at timestamptz NOT NULL DEFAULT now(),
    digest bigint NOT NULL,
    status text NOT NULL,
    queued_at timestamptz,
    started_at timestamptz,
    ended_at timestamptz,
    run_duration_s numeric,
    duration_us bigint GENERATED ALWAYS AS ((extract(epoch FROM ended_at - started_at) * 1000000)::bigint) STORED,
    progress double precision,
    live_status text,
    error text,
    output_count integer NOT NULL,
    body text NOT NULL,
    CONSTRAINT provider_reports_are_kept_once UNIQUE (run_id, digest),
    CONSTRAINT provider_reports_tell_of_an_ending CHECK (status IN ('success', 'failed', 'timeout', 'cancelled'))
);
COMMENT ON TABLE runledger.provider_reports IS
    'Endings that the provider reported when it was asked. All times are the provider''s, except fetched_at. Written by the daemon.';
COMMENT ON COLUMN runledger.provider_reports.id IS 'A handle for people.';
COMMENT ON COLUMN runledger.provider_reports.run_id IS 'The run that was looked up.';
COMMENT ON COLUMN runledger.provider_reports.fetched_at IS
    'When it was stored, by the database''s clock; of several reports the earliest counts; if two are equal, the one with the lower digest.';
COMMENT ON COLUMN runledger.provider_reports.digest IS 'XXH3-64 of the body: one answer is stored once, even if several daemons got it.';
COMMENT ON COLUMN runledger.provider_reports.status IS 'How the run ended, in the provider''s word.';
COMMENT ON COLUMN runledger.provider_reports.queued_at IS 'The provider''s time; NULL: absent or unreadable.';
COMMENT ON COLUMN runledger.provider_reports.started_at IS 'The provider''s time; NULL: absent or unreadable.';
COMMENT ON COLUMN runledger.provider_reports.ended_at IS 'The provider''s time; NULL: absent or unreadable.';
COMMENT ON COLUMN runledger.provider_reports.run_duration_s IS 'run_duration in the provider''s answer, in seconds; NULL: absent or not a number. Only for people.';
COMMENT ON COLUMN runledger.provider_reports.duration_us IS 'ended_at minus started_at in microseconds; NULL if either is NULL. Generated.';
COMMENT ON COLUMN runledger.provider_reports.progress IS 'The provider''s progress, 0 to 1; NULL: none.';
COMMENT ON COLUMN runledger.provider_reports.live_status IS 'Likewise; NULL: it says none.';
COMMENT ON COLUMN runledger.provider_reports.error IS 'Likewise; NULL: it says none.';
COMMENT ON COLUMN runledger.provider_reports.output_count IS 'How many outputs the answer lists.';
COMMENT ON COLUMN runledger.provider_reports.body IS 'The answer''s bytes, unchanged.';

CREATE TABLE runledger.reconcile_lookups (
    run_id text COLLATE "C" PRIMARY KEY,
    enrolled_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now(),
    last_asked_at timestamptz,
    last_status text,
    last_error text,
    lease_owner text,
    lease_until timestamptz,
    CONSTRAINT reconcile_lookups_lease_is_whole CHECK ((lease_owner IS NULL) = (lease_until IS NULL))
);
CREATE INDEX reconcile_lookups_next_at_idx ON runledger.reconcile_lookups (next_at, run_id);
COMMENT ON INDEX runledger.reconcile_lookups_next_at_idx IS 'Reconcile takes due rows, oldest first.';
COMMENT ON TABLE runledger.reconcile_lookups IS
    'Silent runs that are being looked up at the provider. A row is deleted when its run ends or has an event again. Written by the daemon.';
COMMENT ON COLUMN runledger.reconcile_lookups.run_id IS 'The run; it is not in runs if no event of it was ever received.';
COMMENT ON COLUMN runledger.reconcile_lookups.enrolled_at IS 'When its silence was first noticed.';
COMMENT ON COLUMN runledger.reconcile_lookups.attempts IS 'Number of look-ups.';
COMMENT ON COLUMN runledger.reconcile_lookups.next_at IS 'Not looked up before this moment; infinity: given up.';
COMMENT ON COLUMN runledger.reconcile_lookups.last_asked_at IS 'When the last look-up began; NULL before the first.';
COMMENT ON COLUMN runledger.reconcile_lookups.last_status IS 'The status in the provider''s last answer; NULL before the first.';
COMMENT ON COLUMN runledger.reconcile_lookups.last_error IS 'Why the last look-up gave no status; NULL: it gave one, or there was none.';
COMMENT ON COLUMN runledger.reconcile_lookups.lease_owner IS 'The daemon that is looking it up; NULL: none is.';
COMMENT ON COLUMN runledger.reconcile_lookups.lease_until IS 'When another daemon may take over; NULL: no daemon is looking it up.';
