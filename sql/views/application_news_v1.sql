CREATE OR REPLACE VIEW runledger.application_news_v1 AS
SELECT n.id AS news_id, n.happened_at, n.kind, n.generation_id, n.run_id, n.chat_id, n.detail,
       g.application_id::text AS application_id, n.group_key AS group_id
FROM runledger.application_news AS n
LEFT JOIN runledger.generations AS g ON g.id = n.generation_id;
COMMENT ON VIEW runledger.application_news_v1 IS
    'What the application has to know beside the results of its rows. Read those with a higher news_id than the last that you have seen: no lower one comes later. Each is announced by NOTIFY runledger_news.';
COMMENT ON COLUMN runledger.application_news_v1.news_id IS 'Ascending in the order in which the news became visible, also across a restore of the database to an earlier point; there are gaps.';
COMMENT ON COLUMN runledger.application_news_v1.happened_at IS 'When it happened.';
COMMENT ON COLUMN runledger.application_news_v1.kind IS
    'chat_refused: Telegram refuses the chat, as a person who has blocked the bot. message_dead: a message was refused for good, or all attempts failed. message_uncertain: it may have arrived, and is not sent again. message_expired: it has waited too long, and is not sent. webhook_dead: the receiver of a webhook about a settlement or a group''s end wants it no more, or did not accept it in time. settlement_refused: a trigger or constraint refuses the settlement of the row, which waits and is retried. edited_by_hand: the row no longer has its settled values, and so it is left as it is.';
COMMENT ON COLUMN runledger.application_news_v1.generation_id IS 'The generation that it is about; NULL: a chat, or a group.';
COMMENT ON COLUMN runledger.application_news_v1.run_id IS 'Its run; NULL: a chat, or a group.';
COMMENT ON COLUMN runledger.application_news_v1.chat_id IS 'Telegram''s chat; negative for groups; NULL: no chat has to do with it.';
COMMENT ON COLUMN runledger.application_news_v1.detail IS
    'What Telegram, PostgreSQL or the receiver of a webhook said, or what was found in the row, its links masked, cut after 500 characters.';
COMMENT ON COLUMN runledger.application_news_v1.application_id IS
    'The application''s own key, if its table was adopted with a key that is no number; NULL: generation_id is its key, or the row was deleted.';
COMMENT ON COLUMN runledger.application_news_v1.group_id IS 'The group whose end could not be told; NULL: it is not about a group.';
