-- The audit keeps where a rate came from, what the timing alone has to say, and whose the status is; and it can record
-- that a row was reopened for another run or priced anew.
ALTER TABLE runledger.settlements
    ADD COLUMN gpu text,
    ADD COLUMN rate_source text,
    ADD COLUMN duration_note text,
    ADD COLUMN keeps_status boolean NOT NULL DEFAULT false,
    ADD COLUMN response_payload_md5 text;
UPDATE runledger.settlements SET rate_source = 'metadata' WHERE rate_amount IS NOT NULL;
UPDATE runledger.settlements SET duration_note = cost_note
    WHERE cost_note IN ('no_running_event', 'running_after_end', 'clocks_differ', 'clock_implausible');
UPDATE runledger.settlements SET keeps_status = true WHERE outcome = 'kept';

ALTER TABLE runledger.settlements
    ALTER COLUMN finished_at DROP NOT NULL,
    DROP CONSTRAINT settlements_outcome_is_known,
    DROP CONSTRAINT settlements_unknown_cost_says_why,
    ADD CONSTRAINT settlements_outcome_is_known
        CHECK (outcome IN ('settled', 'resettled', 'kept', 'edited_by_hand', 'reopened', 'repriced')),
    ADD CONSTRAINT settlements_finished_at_unless_reopened CHECK ((finished_at IS NULL) = (outcome = 'reopened')),
    ADD CONSTRAINT settlements_unknown_cost_says_why
        CHECK (cost_usd IS NOT NULL OR cost_note IS NOT NULL OR outcome = 'reopened'),
    ADD CONSTRAINT settlements_rate_source_is_known CHECK (rate_source IN ('metadata', 'gpu_rates')),
    ADD CONSTRAINT settlements_rate_source_iff_rate CHECK ((rate_source IS NULL) = (rate_amount IS NULL)),
    ADD CONSTRAINT settlements_rate_unit_iff_rate CHECK ((rate_unit IS NULL) = (rate_amount IS NULL)),
    ADD CONSTRAINT settlements_rate_of_a_gpu_names_it CHECK (rate_source <> 'gpu_rates' OR gpu IS NOT NULL),
    ADD CONSTRAINT settlements_duration_note_is_known
        CHECK (duration_note IN ('no_running_event', 'running_after_end', 'clocks_differ', 'clock_implausible')),
    ADD CONSTRAINT settlements_cost_note_is_known
        CHECK (cost_note IN ('no_running_event', 'running_after_end', 'clocks_differ', 'clock_implausible',
                             'rate_missing', 'gpu_rate_missing', 'rate_malformed', 'rate_negative',
                             'currency_not_usd', 'unit_unknown', 'not_charged')),
    ADD CONSTRAINT settlements_known_cost_has_no_reason_to_be_null
        CHECK (cost_usd IS NULL OR cost_note IS NULL OR cost_note = 'clocks_differ');
ALTER TABLE runledger.generations
    ADD CONSTRAINT generations_cost_note_is_known
        CHECK (cost_note IN ('no_running_event', 'running_after_end', 'clocks_differ', 'clock_implausible',
                             'rate_missing', 'gpu_rate_missing', 'rate_malformed', 'rate_negative',
                             'currency_not_usd', 'unit_unknown', 'not_charged'));

CREATE INDEX settlements_run_id_idx ON runledger.settlements (run_id, id);
COMMENT ON INDEX runledger.settlements_run_id_idx IS
    'Settle looks for rows that were settled by a run and name another now; people look up a run.';
CREATE INDEX settlements_gpu_idx ON runledger.settlements (gpu, finished_at) WHERE gpu IS NOT NULL;
COMMENT ON INDEX runledger.settlements_gpu_idx IS '`runledger reprice` looks up the runs of one GPU within some time.';

COMMENT ON COLUMN runledger.settlements.run_id IS 'The run that it was settled by; of a reopened row, the run whose settlement is withdrawn.';
COMMENT ON COLUMN runledger.settlements.outcome IS
    'settled: the first time. resettled: later news changed the result. kept: the application had ended the row itself, its status stands. repriced: gpu_rates had changed, and `runledger reprice --apply` was run. reopened: the row names another run now and waits for it. edited_by_hand: the row no longer says what was settled; reported here, not overwritten.';
COMMENT ON COLUMN runledger.settlements.finished_at IS 'The instant that it counts to; NULL only of a reopened row.';
COMMENT ON COLUMN runledger.settlements.rate_amount IS
    'US dollars per rate_unit, as copied at the settlement, also where nothing was charged; NULL: no usable rate.';
COMMENT ON COLUMN runledger.settlements.gpu IS
    'metadata.gpu if it is a string of 1 to 64 bytes, whether or not the rate came by it; else NULL.';
COMMENT ON COLUMN runledger.settlements.rate_source IS
    'metadata: from metadata.costRate. gpu_rates: from that table, by gpu, as of finished_at. NULL: no usable rate.';
COMMENT ON COLUMN runledger.settlements.duration_note IS
    'What there is to know of the duration, whether or not anything is charged: no_running_event, running_after_end, clock_implausible: why it is NULL; clocks_differ: from wall clocks. NULL: one boot''s clock, nothing to say.';
COMMENT ON COLUMN runledger.settlements.keeps_status IS
    'True: the status is the one that the application had written itself, not the run''s.';
COMMENT ON COLUMN runledger.settlements.response_payload_md5 IS
    'MD5 of the response_payload that was written, as text: tells an edit by hand. NULL: none was written, or not recorded.';
