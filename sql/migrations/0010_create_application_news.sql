-- What the application is told beside a settlement: that a group has ended, and what keeps its rows or its messages
-- back, and how far its runs are.
CREATE TABLE runledger.group_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_key text COLLATE "C" NOT NULL,
    opens boolean NOT NULL,
    may_end boolean NOT NULL,
    queued_in xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX group_queue_new_idx ON runledger.group_queue (queued_in) INCLUDE (group_key);
COMMENT ON INDEX runledger.group_queue_new_idx IS
    'Tell takes the entries from the first transaction that may have left one: it does not pass those that are gone, which stay in the index while a snapshot is older than they are.';
CREATE INDEX group_queue_group_idx ON runledger.group_queue (group_key);
COMMENT ON INDEX runledger.group_queue_group_idx IS 'Tell removes all entries of the group that it has looked at.';
COMMENT ON TABLE runledger.group_queue IS
    'Groups whose members have changed, to be looked at: have all ended? Written by triggers on generations in the transaction that changes a member, which only insert, so that nobody waits for another member. Emptied by the daemon.';
COMMENT ON COLUMN runledger.group_queue.id IS 'A handle for people.';
COMMENT ON COLUMN runledger.group_queue.group_key IS 'The group, as in generations.';
COMMENT ON COLUMN runledger.group_queue.opens IS
    'True: the transaction added a member, or a member that had ended is open again; so the end of the group is told again. False for a member that was history when it was added.';
COMMENT ON COLUMN runledger.group_queue.may_end IS
    'True: by the transaction a member has ended, an open one has left, or the group is to have another number of members.';
COMMENT ON COLUMN runledger.group_queue.queued_in IS
    'The transaction that queued it: a transaction that is not finished, or begins later, can still add entries.';

CREATE TABLE runledger.generation_groups (
    group_key text COLLATE "C" PRIMARY KEY,
    members bigint NOT NULL DEFAULT 0,
    told_at timestamptz,
    told_count bigint NOT NULL DEFAULT 0,
    ending bigint GENERATED ALWAYS AS IDENTITY,
    CONSTRAINT generation_groups_told_are_counted CHECK (told_at IS NULL OR told_count > 0)
);
COMMENT ON TABLE runledger.generation_groups IS
    'Which groups of generations were told of as ended. A row for each group that has members and was open since the ledger has it. Written by the daemon; costs and counts are in group_costs_v1.';
COMMENT ON COLUMN runledger.generation_groups.group_key IS 'The group, as in generations.';
COMMENT ON COLUMN runledger.generation_groups.members IS 'How many members it had when it was last looked at.';
COMMENT ON COLUMN runledger.generation_groups.told_at IS
    'When NOTIFY runledger_group said that all have ended; NULL: not yet, or a member is open again.';
COMMENT ON COLUMN runledger.generation_groups.told_count IS 'How often that was said.';
COMMENT ON COLUMN runledger.generation_groups.ending IS
    'The number of the end that was told last, as its webhooks have it: taken anew each time, so higher than all before, also if the group''s row was deleted in between. There are gaps.';

CREATE TABLE runledger.application_news (
    id bigint PRIMARY KEY,
    happened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    kind text NOT NULL,
    generation_id bigint,
    run_id text COLLATE "C",
    chat_id bigint,
    detail text NOT NULL,
    group_key text COLLATE "C",
    CONSTRAINT application_news_kind_is_known
        CHECK (kind IN ('chat_refused', 'message_dead', 'message_uncertain', 'message_expired', 'webhook_dead',
                        'settlement_refused', 'edited_by_hand')),
    CONSTRAINT application_news_detail_is_short CHECK (length(detail) <= 500)
);
CREATE INDEX application_news_run_id_idx ON runledger.application_news (run_id, id) WHERE run_id IS NOT NULL;
COMMENT ON INDEX runledger.application_news_run_id_idx IS
    'Whether a refusal was told before; forgetting finds everything about a run.';
CREATE INDEX application_news_chat_id_idx ON runledger.application_news (chat_id) WHERE chat_id IS NOT NULL;
COMMENT ON INDEX runledger.application_news_chat_id_idx IS
    'Forgetting finds everything about a chat, while it keeps everybody from adding news. They are kept for ever unless [retention] news_days says otherwise.';
CREATE INDEX application_news_happened_at_idx ON runledger.application_news (happened_at);
COMMENT ON INDEX runledger.application_news_happened_at_idx IS 'Retention takes the oldest.';
COMMENT ON TABLE runledger.application_news IS
    'What the application has to know beside the results of its rows: few rows, of what went wrong. Written by triggers in the transaction of what happened, with NOTIFY runledger_news. Read through application_news_v1.';
COMMENT ON COLUMN runledger.application_news.id IS
    'Ascending in the order of commits: who has read up to a number has missed none below it. The microseconds since 1970 when it was written, or one more than the number before, so that numbers ascend across a restore of the database, too.';
COMMENT ON COLUMN runledger.application_news.happened_at IS 'When it was written.';
COMMENT ON COLUMN runledger.application_news.kind IS
    'chat_refused: Telegram refuses the chat, as a person who has blocked the bot. message_dead: a message was refused for good, or all attempts failed. message_uncertain: it may have arrived, and is not sent again. message_expired: it has waited too long, and is not sent. webhook_dead: the receiver of a webhook about a settlement or a group''s end wants it no more, or did not accept it in time. settlement_refused: a trigger or constraint of the application refuses the settlement of its row, which waits. edited_by_hand: a row no longer has its settled values, and so it is left as it is.';
COMMENT ON COLUMN runledger.application_news.generation_id IS 'The generation that it is about; NULL: a chat, or a group.';
COMMENT ON COLUMN runledger.application_news.run_id IS 'Its run; NULL: a chat, or a group.';
COMMENT ON COLUMN runledger.application_news.chat_id IS 'Telegram''s chat; negative for groups; NULL: no chat has to do with it.';
COMMENT ON COLUMN runledger.application_news.detail IS
    'What Telegram, PostgreSQL or the receiver of a webhook said, or settlements.why, its links masked, cut after 500 characters.';
COMMENT ON COLUMN runledger.application_news.group_key IS 'The group whose end could not be told; NULL: it is not about a group.';

CREATE TABLE runledger.progress_news (
    run_id text COLLATE "C" PRIMARY KEY,
    told_of timestamptz NOT NULL,
    told_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX progress_news_told_at_idx ON runledger.progress_news (told_at);
COMMENT ON INDEX runledger.progress_news_told_at_idx IS 'Finds the rows of runs that have been silent for long, to remove them.';
COMMENT ON TABLE runledger.progress_news IS
    'When each run''s progress was last told by NOTIFY runledger_progress, if [application] progress_interval_ms is set: so that all daemons together keep to the interval. A row is removed some hours later. Written by the daemon.';
COMMENT ON COLUMN runledger.progress_news.run_id IS 'The run.';
COMMENT ON COLUMN runledger.progress_news.told_of IS 'runs.latest_at of the progress that was told last: later progress is told next.';
COMMENT ON COLUMN runledger.progress_news.told_at IS 'When it was told: nothing is told of the run before the interval has passed.';
