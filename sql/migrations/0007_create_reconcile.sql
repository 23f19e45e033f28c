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
    'Endings that the provider told when it was asked: events of a kind of their own beside webhook_events. Times in it are the provider''s, but for fetched_at. Written by the daemon.';
COMMENT ON COLUMN runledger.provider_reports.id IS 'A handle for people.';
COMMENT ON COLUMN runledger.provider_reports.run_id IS 'The run that was asked for.';
COMMENT ON COLUMN runledger.provider_reports.fetched_at IS
    'When it was stored, by the database''s clock; of several reports the earliest counts, then the least digest.';
COMMENT ON COLUMN runledger.provider_reports.digest IS 'XXH3-64 of the body: one answer is kept once, however many daemons got it.';
COMMENT ON COLUMN runledger.provider_reports.status IS 'How the run ended, in the provider''s word.';
COMMENT ON COLUMN runledger.provider_reports.queued_at IS 'The provider''s time; NULL: absent or unreadable.';
COMMENT ON COLUMN runledger.provider_reports.started_at IS 'The provider''s time; NULL: absent or unreadable.';
COMMENT ON COLUMN runledger.provider_reports.ended_at IS 'The provider''s time; NULL: absent or unreadable.';
COMMENT ON COLUMN runledger.provider_reports.run_duration_s IS 'run_duration as the provider says it, in seconds; NULL: absent or no number. Compared with nothing, kept for people.';
COMMENT ON COLUMN runledger.provider_reports.duration_us IS 'ended_at minus started_at in microseconds; NULL where either is. Generated.';
COMMENT ON COLUMN runledger.provider_reports.progress IS 'As the provider says, 0 to 1; NULL: it says none.';
COMMENT ON COLUMN runledger.provider_reports.live_status IS 'Likewise; NULL: it says none.';
COMMENT ON COLUMN runledger.provider_reports.error IS 'Likewise; NULL: it says none.';
COMMENT ON COLUMN runledger.provider_reports.output_count IS 'How many outputs the answer lists.';
COMMENT ON COLUMN runledger.provider_reports.body IS 'The answer''s bytes, untouched.';

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
COMMENT ON INDEX runledger.reconcile_lookups_next_at_idx IS 'Reconcile takes what is due, oldest first.';
COMMENT ON TABLE runledger.reconcile_lookups IS
    'Silent runs that are being looked up at the provider. A row goes when its run ends or is heard of again. Written by the daemon.';
COMMENT ON COLUMN runledger.reconcile_lookups.run_id IS 'The run; it need not be in runs, where no event of it was ever received.';
COMMENT ON COLUMN runledger.reconcile_lookups.enrolled_at IS 'When its silence was first noticed.';
COMMENT ON COLUMN runledger.reconcile_lookups.attempts IS 'How often the provider was asked.';
COMMENT ON COLUMN runledger.reconcile_lookups.next_at IS 'Not asked before this moment; infinity: given up.';
COMMENT ON COLUMN runledger.reconcile_lookups.last_asked_at IS 'When the last asking began; NULL before the first.';
COMMENT ON COLUMN runledger.reconcile_lookups.last_status IS 'The provider''s word at the last answer; NULL before the first.';
COMMENT ON COLUMN runledger.reconcile_lookups.last_error IS 'Why the last asking told nothing; NULL: it did, or there was none.';
COMMENT ON COLUMN runledger.reconcile_lookups.lease_owner IS 'The daemon that is asking; NULL: none is.';
COMMENT ON COLUMN runledger.reconcile_lookups.lease_until IS 'When another daemon may take over; NULL: none is asking.';
