-- A reader of views may not see the tables' comments.
COMMENT ON COLUMN runledger.run_costs_v1.generation_id IS 'The application''s handle for the row.';
COMMENT ON COLUMN runledger.run_costs_v1.run_id IS 'The provider''s id of the run; NULL while the application has stored none.';
COMMENT ON COLUMN runledger.run_costs_v1.status IS 'pending, processing, completed, failed or cancelled.';
COMMENT ON COLUMN runledger.run_costs_v1.request_timestamp IS 'When the application asked.';
COMMENT ON COLUMN runledger.run_costs_v1.response_timestamp IS 'When the edge received the run''s ending; NULL until then.';
COMMENT ON COLUMN runledger.run_costs_v1.duration_ms IS
    'Milliseconds from the first running to the ending, exact to the microsecond; NULL where that can''t be known.';
COMMENT ON COLUMN runledger.run_costs_v1.cost_usd IS
    'US dollars, 12 decimals; NULL where nothing is charged or it can''t be known: see cost_note.';
COMMENT ON COLUMN runledger.run_costs_v1.cost_note IS 'Why cost_usd is NULL, or what to know about it; NULL: nothing to say.';
COMMENT ON COLUMN runledger.run_costs_v1.rate_amount IS 'US dollars per rate_unit, as copied at the settlement; NULL: no usable rate.';
COMMENT ON COLUMN runledger.run_costs_v1.rate_unit IS 'second, minute, hour or run; NULL: no usable rate.';
COMMENT ON COLUMN runledger.run_costs_v1.duration_clock IS
    'boottime: both instants from one boot of one edge, immune to clock steps. realtime: from wall clocks. NULL: no duration.';
COMMENT ON COLUMN runledger.run_costs_v1.running_at IS 'The instant that the duration counts from; NULL: none was received.';
COMMENT ON COLUMN runledger.run_costs_v1.finished_at IS 'The instant that it counts to; NULL: not settled.';

COMMENT ON COLUMN runledger.runs_without_generation_v1.run_id IS 'The provider''s id of the run.';
COMMENT ON COLUMN runledger.runs_without_generation_v1.status IS 'The ending if there is one, else the furthest status received.';
COMMENT ON COLUMN runledger.runs_without_generation_v1.first_received_at IS 'When the edge received the first event.';
COMMENT ON COLUMN runledger.runs_without_generation_v1.latest_at IS 'When the edge received the last event.';
COMMENT ON COLUMN runledger.runs_without_generation_v1.finished_at IS 'When the edge received the ending; NULL: none yet.';
COMMENT ON COLUMN runledger.runs_without_generation_v1.event_count IS 'How many stored events told of the run.';

COMMENT ON COLUMN runledger.unpriced_generations_v1.generation_id IS 'The application''s handle for the row.';
COMMENT ON COLUMN runledger.unpriced_generations_v1.run_id IS 'The provider''s id of the run.';
COMMENT ON COLUMN runledger.unpriced_generations_v1.status IS
    'completed: something is owed that isn''t known. failed, cancelled: nothing is charged.';
COMMENT ON COLUMN runledger.unpriced_generations_v1.cost_note IS 'Why there is no cost; docs/dba.md lists the words.';
COMMENT ON COLUMN runledger.unpriced_generations_v1.response_timestamp IS 'When the edge received the run''s ending.';

COMMENT ON COLUMN runledger.cost_notes_v1.cost_note IS 'The note; docs/dba.md lists the words.';
COMMENT ON COLUMN runledger.cost_notes_v1.generations IS 'How many generations have it.';
COMMENT ON COLUMN runledger.cost_notes_v1.without_cost IS 'How many of them have no cost.';
COMMENT ON COLUMN runledger.cost_notes_v1.first_at IS 'When the first of their runs ended.';
COMMENT ON COLUMN runledger.cost_notes_v1.last_at IS 'When the last of them ended.';

COMMENT ON COLUMN runledger.unsettled_v1.run_id IS 'The run that waits.';
COMMENT ON COLUMN runledger.unsettled_v1.queued_at IS 'Since when.';
COMMENT ON COLUMN runledger.unsettled_v1.due_at IS 'When it is looked at next.';
COMMENT ON COLUMN runledger.unsettled_v1.attempts IS 'How often settling it was tried in vain.';
COMMENT ON COLUMN runledger.unsettled_v1.last_error IS 'Why the last attempt was in vain; NULL before the first.';

COMMENT ON COLUMN runledger.failed_notifications_v1.notification_id IS 'The message''s handle.';
COMMENT ON COLUMN runledger.failed_notifications_v1.generation_id IS 'What it was to tell of.';
COMMENT ON COLUMN runledger.failed_notifications_v1.run_id IS 'Its run.';
COMMENT ON COLUMN runledger.failed_notifications_v1.kind IS 'What kind of message: ending, follow_up, correction and whatever the outbox has besides.';
COMMENT ON COLUMN runledger.failed_notifications_v1.chat_id IS 'Whom it was for; negative for groups; NULL: metadata.telegramChatId is malformed.';
COMMENT ON COLUMN runledger.failed_notifications_v1.state IS
    'uncertain: it may have arrived. dead: refused for good, or given up. skipped: not sent on purpose.';
COMMENT ON COLUMN runledger.failed_notifications_v1.attempts IS 'How often sending was begun.';
COMMENT ON COLUMN runledger.failed_notifications_v1.last_error IS 'What the last attempt met.';
COMMENT ON COLUMN runledger.failed_notifications_v1.created_at IS 'When the settlement made it.';

COMMENT ON COLUMN runledger.ledger_balance_v1.events IS 'Stored events that were applied.';
COMMENT ON COLUMN runledger.ledger_balance_v1.quarantined_events IS 'Events that could not be stored, kept in quarantine.';
COMMENT ON COLUMN runledger.ledger_balance_v1.conflicting_batches IS
    'Batches whose name was taken by another with other bytes, kept in quarantine: 0 unless something is very wrong.';
COMMENT ON COLUMN runledger.ledger_balance_v1.events_of_open_segments IS
    'Events of the batches of segments that their edge still keeps.';
COMMENT ON COLUMN runledger.ledger_balance_v1.events_counted_in_runs IS 'What the runs'' event_count add up to: the same as events.';
