-- Settlement: what waits, what a GPU costs, and the audit of what was settled, from which a DBA can prove each row.
CREATE TABLE runledger.settle_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id text COLLATE "C" NOT NULL,
    queued_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    attempts integer NOT NULL DEFAULT 0,
    last_error text,
    is_slow boolean NOT NULL DEFAULT false,
    queued_in xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX settle_queue_new_idx ON runledger.settle_queue (queued_in, id) WHERE attempts = 0;
COMMENT ON INDEX runledger.settle_queue_new_idx IS
    'Settle takes the entries that it has not tried yet, from the first transaction that may have left one: it does not pass the entries that are gone, which stay in the index while a snapshot is older than they are.';
CREATE INDEX settle_queue_due_idx ON runledger.settle_queue (is_slow, due_at, id) WHERE attempts > 0;
COMMENT ON INDEX runledger.settle_queue_due_idx IS
    'Each of settle''s two threads takes its entries that are due again, oldest first.';
CREATE INDEX settle_queue_run_idx ON runledger.settle_queue (run_id);
COMMENT ON INDEX runledger.settle_queue_run_idx IS
    'Whether a run is queued: retention and the sweep ask it of each run that they look at, however long the queue is.';
COMMENT ON TABLE runledger.settle_queue IS
    'Runs to be settled, or settled again. The daemon''s apply and the trigger on generations only insert, so that neither can wait for a settlement. A run may have several entries.';
COMMENT ON COLUMN runledger.settle_queue.id IS 'The order of arrival.';
COMMENT ON COLUMN runledger.settle_queue.run_id IS 'The run to settle; neither its row in runs nor its generation has to exist yet.';
COMMENT ON COLUMN runledger.settle_queue.queued_at IS 'When the transaction that queued it began.';
COMMENT ON COLUMN runledger.settle_queue.due_at IS 'Not before this moment.';
COMMENT ON COLUMN runledger.settle_queue.queued_in IS
    'The transaction that queued it: a transaction that is not finished, or begins later, can still add entries.';
COMMENT ON COLUMN runledger.settle_queue.attempts IS 'Number of failed attempts to settle it.';
COMMENT ON COLUMN runledger.settle_queue.last_error IS 'Why the last attempt failed; NULL before the first.';
COMMENT ON COLUMN runledger.settle_queue.is_slow IS
    'The last attempt was slow and failed (a trigger of the application hangs or waits): the second thread retries it.';

CREATE TABLE runledger.settlements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    generation_id bigint NOT NULL,
    run_id text COLLATE "C" NOT NULL,
    settled_at timestamptz NOT NULL DEFAULT now(),
    outcome text NOT NULL,
    why text NOT NULL,
    status text NOT NULL,
    status_reason text,
    running_at timestamptz,
    finished_at timestamptz,
    duration_us bigint,
    duration_clock text,
    rate_amount numeric,
    rate_unit text,
    cost_usd numeric,
    cost_note text,
    output_count integer NOT NULL,
    before jsonb NOT NULL,
    gpu text,
    rate_source text,
    duration_note text,
    keeps_status boolean NOT NULL DEFAULT false,
    response_payload_md5 text,
    is_replaced boolean NOT NULL DEFAULT false,
    token_count bigint,
    row_is_gone boolean NOT NULL DEFAULT false,
    CONSTRAINT settlements_outcome_is_known
        CHECK (outcome IN ('settled', 'resettled', 'kept', 'edited_by_hand', 'reopened', 'repriced')),
    CONSTRAINT settlements_finished_at_unless_reopened CHECK ((finished_at IS NULL) = (outcome = 'reopened')),
    CONSTRAINT settlements_duration_clock_is_known CHECK (duration_clock IN ('boottime', 'realtime', 'provider', 'application')),
    CONSTRAINT settlements_clock_iff_duration CHECK ((duration_us IS NULL) = (duration_clock IS NULL)),
    CONSTRAINT settlements_duration_note_is_known
        CHECK (duration_note IN ('no_running_event', 'running_after_end', 'clocks_differ', 'clock_implausible',
                                 'provider_times', 'provider_times_missing', 'provider_times_implausible')),
    CONSTRAINT settlements_rate_source_is_known CHECK (rate_source IN ('metadata', 'gpu_rates')),
    CONSTRAINT settlements_rate_source_iff_rate CHECK ((rate_source IS NULL) = (rate_amount IS NULL)),
    CONSTRAINT settlements_rate_unit_iff_rate CHECK ((rate_unit IS NULL) = (rate_amount IS NULL)),
    CONSTRAINT settlements_token_count_iff_rate_is_of_tokens
        CHECK ((token_count IS NULL) = (rate_unit IS DISTINCT FROM 'token')),
    CONSTRAINT settlements_token_count_is_not_negative CHECK (token_count >= 0),
    CONSTRAINT settlements_rate_of_a_gpu_names_it CHECK (rate_source <> 'gpu_rates' OR gpu IS NOT NULL),
    CONSTRAINT settlements_cost_note_is_known
        CHECK (cost_note IN ('no_running_event', 'running_after_end', 'clocks_differ', 'clock_implausible',
                             'provider_times', 'provider_times_missing', 'provider_times_implausible',
                             'rate_missing', 'gpu_rate_missing', 'rate_malformed', 'rate_negative',
                             'currency_not_usd', 'unit_unknown', 'tokens_missing', 'tokens_malformed', 'not_charged')),
    CONSTRAINT settlements_unknown_cost_says_why
        CHECK (cost_usd IS NOT NULL OR cost_note IS NOT NULL OR outcome = 'reopened'),
    CONSTRAINT settlements_known_cost_has_no_reason_to_be_null
        CHECK (cost_usd IS NULL OR cost_note IS NULL OR cost_note IN ('clocks_differ', 'provider_times'))
);
CREATE INDEX settlements_generation_id_idx ON runledger.settlements (generation_id, id);
COMMENT ON INDEX runledger.settlements_generation_id_idx IS 'Settle reads the last row of a generation; so do people.';
CREATE INDEX settlements_run_id_idx ON runledger.settlements (run_id, id);
COMMENT ON INDEX runledger.settlements_run_id_idx IS
    'Settle and people look up the settlements of a run; apply checks whether an unknown run was settled and then removed.';
CREATE INDEX settlements_gpu_idx ON runledger.settlements (gpu, finished_at) WHERE gpu IS NOT NULL;
COMMENT ON INDEX runledger.settlements_gpu_idx IS '`runledger reprice` looks up the runs of one GPU within some time.';
CREATE INDEX settlements_gpu_by_day_idx ON runledger.settlements (finished_at) INCLUDE (generation_id, id, gpu)
    WHERE outcome <> 'edited_by_hand' AND NOT row_is_gone;
COMMENT ON INDEX runledger.settlements_gpu_by_day_idx IS
    'The GPU of each generation that ended within some time, read from the index alone. Only the deletion of a generation updates what it depends on.';
CREATE INDEX settlements_settled_at_idx ON runledger.settlements USING brin (settled_at);
COMMENT ON INDEX runledger.settlements_settled_at_idx IS 'Finds what was settled within some days.';
CREATE INDEX settlements_replaced_idx ON runledger.settlements (settled_at) WHERE is_replaced;
COMMENT ON INDEX runledger.settlements_replaced_idx IS 'Retention takes the oldest settlements that a newer one has replaced.';
COMMENT ON TABLE runledger.settlements IS
    'The audit: for each settlement of a generations row, the written values, the values before, and the reason. Written by the daemon. Only marks change: is_replaced, row_is_gone.';
COMMENT ON COLUMN runledger.settlements.id IS 'The order in which they were made.';
COMMENT ON COLUMN runledger.settlements.generation_id IS 'The row that was settled; no foreign key, because the audit outlives it.';
COMMENT ON COLUMN runledger.settlements.run_id IS 'The run whose results were written; for a reopened row, the run whose settlement is withdrawn.';
COMMENT ON COLUMN runledger.settlements.settled_at IS 'When it was written; later than each earlier settlement of the generation.';
COMMENT ON COLUMN runledger.settlements.outcome IS
    'settled: the first time. resettled: later events changed the result. kept: the application had ended the row itself, and its status stays. repriced: gpu_rates had changed, and `runledger reprice --apply` was run. reopened: the row names another run now and waits for it. edited_by_hand: the row no longer has the settled values; this is reported here, and the row is not overwritten.';
COMMENT ON COLUMN runledger.settlements.why IS 'A sentence for people.';
COMMENT ON COLUMN runledger.settlements.status IS 'The generation''s status that was written (or, if edited by hand, would have been).';
COMMENT ON COLUMN runledger.settlements.status_reason IS 'The generation''s status_reason; NULL: nothing to say.';
COMMENT ON COLUMN runledger.settlements.running_at IS 'The instant that the duration counts from; NULL: no running event.';
COMMENT ON COLUMN runledger.settlements.finished_at IS
    'The instant that it counts to; if only the provider reported the ending, when its report was stored. NULL only for a reopened row.';
COMMENT ON COLUMN runledger.settlements.duration_us IS 'Microseconds; NULL if it is unknown.';
COMMENT ON COLUMN runledger.settlements.duration_clock IS
    'boottime: both instants from one boot of one edge, immune to clock steps. realtime: from wall clocks. provider: the provider''s ended_at minus its started_at (runs.provider_…), because no webhook ended the run. application: as the application wrote it with the ending that is kept. NULL: no duration.';
COMMENT ON COLUMN runledger.settlements.rate_amount IS
    'US dollars per rate_unit, as copied at the settlement, even if nothing was charged; NULL: no usable rate.';
COMMENT ON COLUMN runledger.settlements.rate_unit IS 'second, minute, hour, run, request or token; NULL: no usable rate.';
COMMENT ON COLUMN runledger.settlements.cost_usd IS
    'US dollars, 12 decimals; NULL if nothing is charged or the cost is unknown. Without a rate: as the application wrote it with the ending that is kept.';
COMMENT ON COLUMN runledger.settlements.cost_note IS 'Why cost_usd is NULL, or what to know about it.';
COMMENT ON COLUMN runledger.settlements.output_count IS 'How many outputs the run had.';
COMMENT ON COLUMN runledger.settlements.before IS 'The settled columns before this settlement.';
COMMENT ON COLUMN runledger.settlements.gpu IS
    'metadata.gpu if it is a string of 1 to 64 bytes, whether or not it gave the rate; else NULL.';
COMMENT ON COLUMN runledger.settlements.rate_source IS
    'metadata: from metadata.costRate. gpu_rates: from that table, by gpu, as of finished_at. NULL: no usable rate.';
COMMENT ON COLUMN runledger.settlements.duration_note IS
    'A note about the duration, whether or not anything is charged. no_running_event, running_after_end, clock_implausible, provider_times_missing, provider_times_implausible: why it is NULL, or not by the run. clocks_differ: it is by wall clocks. provider_times: it is by the provider''s clock. NULL: it is by one boot''s clock.';
COMMENT ON COLUMN runledger.settlements.keeps_status IS
    'True: the status is the one that the application had written itself, not the run''s.';
COMMENT ON COLUMN runledger.settlements.response_payload_md5 IS
    'MD5 of the response_payload that was written, as text: an edit by hand is noticed by it. NULL: none was written, or it was not recorded.';
COMMENT ON COLUMN runledger.settlements.token_count IS
    'metadata.tokenCount, copied with a rate whose unit is token, even if nothing was charged; NULL: the rate has another unit, or there is none.';
COMMENT ON COLUMN runledger.settlements.row_is_gone IS
    'True: the generation was deleted. What was settled stays, and is billed; a row that has the id now is another one. Written by a trigger on generations.';
COMMENT ON COLUMN runledger.settlements.is_replaced IS 'A newer settlement of the same generation and run has taken its place: retention may remove it.';

CREATE TYPE runledger.settlement_draft AS (
    generation runledger.generations,
    settlement runledger.settlements,
    payload jsonb
);
COMMENT ON TYPE runledger.settlement_draft IS
    'A settlement that is not written yet: the current generation, the values for the audit and the row, and the response_payload. The argument of write_settlements; no table has one.';

-- A trusted extension: any role with CREATE on the database may make it. Where the migrating role has no such right, a
-- DBA makes it before, in any schema, and this line finds it. It goes where no other role can have made functions that
-- the extension's script would call.
CREATE EXTENSION IF NOT EXISTS btree_gist SCHEMA pg_catalog;

CREATE TABLE runledger.gpu_rates (
    gpu text COLLATE "C" NOT NULL,
    usd_per_second numeric NOT NULL,
    effective tstzrange NOT NULL,
    CONSTRAINT gpu_rates_pkey PRIMARY KEY (gpu, effective),
    CONSTRAINT gpu_rates_of_one_gpu_never_overlap EXCLUDE USING gist (gpu WITH =, effective WITH &&),
    CONSTRAINT gpu_rates_gpu_has_1_to_64_bytes CHECK (octet_length(gpu) BETWEEN 1 AND 64),
    -- NaN and Infinity are above any bound. The decimals are those that runledger.cost_of divides exactly.
    CONSTRAINT gpu_rates_amount_is_usable
        CHECK (usd_per_second >= 0 AND usd_per_second < 1e12 AND scale(trim_scale(usd_per_second)) <= 48),
    CONSTRAINT gpu_rates_effective_is_some_time CHECK (NOT isempty(effective))
);
COMMENT ON TABLE runledger.gpu_rates IS
    'US dollars per second of each GPU, by time. If a generation''s metadata has a gpu and no costRate, the rate in force when its run ended is copied at the settlement. Written by the operator. A change applies to later settlements; `runledger reprice` applies it to earlier ones.';
COMMENT ON COLUMN runledger.gpu_rates.gpu IS 'Exactly as in metadata.gpu.';
COMMENT ON COLUMN runledger.gpu_rates.usd_per_second IS 'US dollars per second, exact.';
COMMENT ON COLUMN runledger.gpu_rates.effective IS
    'When the rate is in force; an open end means for ever. No two ranges of one gpu overlap. There may be a gap between two, in which there is no rate.';

INSERT INTO runledger.gpu_rates (gpu, usd_per_second, effective) VALUES
    ('CPU', 0.00004, '(,)'),
    ('T4', 0.00018, '(,)'),
    ('L4', 0.00032, '(,)'),
    ('A10G', 0.000337, '(,)'),
    ('L40S', 0.000596, '(,)'),
    ('A100', 0.00114, '(,)'),
    ('A100-80GB', 0.001708, '(,)'),
    ('H100', 0.002338, '(,)'),
    ('H200', 0.001891, '(,)'),
    ('B200', 0.002604, '(,)');
