-- Each constraint refuses what it is for, by its own name.
BEGIN;
SELECT plan(34);

CREATE FUNCTION pg_temp.refused_by(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    EXECUTE statement;
    RETURN 'nothing';
EXCEPTION WHEN integrity_constraint_violation THEN
    GET STACKED DIAGNOSTICS name = CONSTRAINT_NAME;
    RETURN CASE WHEN name = '' THEN SQLSTATE ELSE name END;
END
$$;

INSERT INTO runledger.generations (id, metadata) VALUES (-1, '{"run_id": "taken"}');
SELECT is(pg_temp.refused_by(statement), wanted, wanted) FROM (VALUES
    ($$ INSERT INTO runledger.generations (metadata) VALUES ('{"run_id": "taken"}') $$, 'generations_run_id_unique'),
    ($$ INSERT INTO runledger.generations (status) VALUES ('done') $$, 'generations_status_is_known'),
    ($$ INSERT INTO runledger.generations (duration_ms) VALUES (-1) $$, 'generations_duration_is_not_negative'),
    ($$ INSERT INTO runledger.generations (cost_usd) VALUES (-1) $$, 'generations_cost_is_not_negative'),
    ($$ INSERT INTO runledger.generations (duration_ms) VALUES ('NaN') $$, 'generations_duration_is_finite'),
    ($$ INSERT INTO runledger.generations (cost_usd) VALUES ('Infinity') $$, 'generations_cost_is_finite'),
    ($$ INSERT INTO runledger.generations (request_timestamp) VALUES ('-infinity') $$, 'generations_times_are_of_1970_to_9999'),
    ($$ INSERT INTO runledger.generations (response_timestamp) VALUES ('294276-12-31') $$, 'generations_times_are_of_1970_to_9999'),
    ($$ INSERT INTO runledger.generations (response_timestamp) VALUES ('4714-11-24 BC') $$, 'generations_times_are_of_1970_to_9999'),
    ($$ INSERT INTO runledger.spool_segments (segment_id, edge, batch_count) VALUES (gen_random_uuid(), 'e', 1) $$,
     'spool_segments_batch_count_iff_retired'),
    ($$ INSERT INTO runledger.ingested_batches (segment_id, batch_number, digest, event_count) VALUES (gen_random_uuid(), 0, '', 1) $$,
     'ingested_batches_digest_has_16_bytes'),
    ($$ INSERT INTO runledger.ingested_batches (segment_id, batch_number, digest, event_count) VALUES (gen_random_uuid(), -1, decode(repeat('00', 16), 'hex'), 1) $$,
     'ingested_batches_batch_number_is_not_negative'),
    ($$ INSERT INTO runledger.ingested_batches (segment_id, batch_number, digest, event_count) VALUES (gen_random_uuid(), 0, decode(repeat('00', 16), 'hex'), 1) $$,
     'ingested_batches_segment_id_fkey'),
    ($$ INSERT INTO runledger.quarantine (scope, reason, segment_id, batch_number, event_index, edge, content) VALUES ('events', 'r', gen_random_uuid(), 0, 0, 'e', '') $$,
     'quarantine_scope_is_known'),
    ($$ INSERT INTO runledger.quarantine (scope, reason, segment_id, batch_number, edge, content) VALUES ('output', 'r', gen_random_uuid(), 0, 'e', '') $$,
     'quarantine_names_its_event'),
    ($$ INSERT INTO runledger.run_outputs (run_id, output_key, updated_at, received_at, boot_id, boottime_us, digest, position)
        VALUES ('nobody''s', 'k', now(), now(), gen_random_uuid(), 1, 1, 0) $$, 'run_outputs_run_id_fkey'),
    ($$ INSERT INTO runledger.settlements (generation_id, run_id, outcome, why, status, finished_at, output_count, before, cost_note)
        VALUES (1, 'r', 'guessed', 'w', 'failed', now(), 0, '{}', 'not_charged') $$, 'settlements_outcome_is_known'),
    ($$ INSERT INTO runledger.settlements (generation_id, run_id, outcome, why, status, finished_at, output_count, before)
        VALUES (1, 'r', 'settled', 'w', 'failed', now(), 0, '{}') $$, 'settlements_unknown_cost_says_why'),
    ($$ INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, payload) VALUES (1, 'r', 'ending', '', '{}') $$,
     'notifications_have_a_chat_unless_skipped'),
    ($$ INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, state) VALUES (1, 'r', 'ending', '', 1, '{}', 'sent') $$,
     'notifications_sent_at_iff_sent'),
    ($$ INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, state, last_error) VALUES (1, 'r', 'ending', '', 1, '{}', 'logged', 'l') $$,
     'notifications_logged_have_logged_at'),
    ($$ INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, state, logged_at) VALUES (1, 'r', 'ending', '', 1, '{}', 'logged', now()) $$,
     'notifications_unsent_say_why'),
    ($$ INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, state) VALUES (1, 'r', 'ending', '', 1, '{}', 'dead') $$,
     'notifications_unsent_say_why'),
    ($$ INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, channel) VALUES (1, 'r', 'ending', '', 1, '{}', 'post') $$,
     'notifications_channel_is_known'),
    ($$ INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, payload, channel) VALUES (1, 'r', 'settlement', '1', '{}', 'webhook') $$,
     'notifications_id_and_host_iff_webhook'),
    ($$ INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, chat_id, payload, webhook_url) VALUES (1, 'r', 'ending', '', 1, '{}', 'https://a.example') $$,
     'notifications_to_a_chat_have_no_webhook_url'),
    ($$ INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, recipient, payload, channel, webhook_id, webhook_host) VALUES (1, 'r', 'settlement', '1', '1', '{}', 'webhook', 'msg_1', 'h') $$,
     'notifications_as_a_webhook_have_no_chat'),
    ($$ INSERT INTO runledger.notifications (generation_id, run_id, kind, for_status, settlement_id, payload, channel, webhook_id, webhook_host) VALUES (1, 'r', 'settlement', '1', 1, '{}', 'webhook', 'msg_1', '[webhooks] url') $$,
     'notifications_as_a_webhook_have_no_chat'),
    ($$ INSERT INTO runledger.notifications (kind, for_status, chat_id, payload) VALUES ('ending', '', 1, '{}') $$,
     'notifications_have_a_run_unless_of_a_group'),
    ($$ INSERT INTO runledger.notifications (kind, for_status, payload, channel, webhook_id, webhook_host) VALUES ('group', '1', '{}', 'webhook', 'msg_1', '[webhooks] url') $$,
     'notifications_of_a_group_are_webhooks_that_name_it'),
    ($$ INSERT INTO runledger.webhook_settings (is_the_only_row, to_url, host_suffixes, metadata_keys, events) VALUES (false, true, '{}', '{}', '{}') $$,
     'webhook_settings_are_one_row'),
    ($$ INSERT INTO runledger.webhook_settings (to_url, host_suffixes, metadata_keys, events) VALUES (true, '{}', '{}', '{other}') $$,
     'webhook_settings_events_are_known'),
    ($$ INSERT INTO runledger.webhook_hosts (host, failures, closed_until, last_error) VALUES ('h', -1, now(), 'e') $$,
     'webhook_hosts_have_failed'),
    ($$ INSERT INTO runledger.forgotten_runs (run_digest) VALUES ('r') $$, 'forgotten_runs_digest_has_32_bytes')
) AS cases (statement, wanted);

SELECT * FROM finish();
ROLLBACK;
