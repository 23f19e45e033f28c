-- A member of a group is forgotten: what the outbox and the news say of the group's end stays only as far as it is the
-- others'.
BEGIN;
SELECT plan(9);

INSERT INTO runledger.webhook_settings (to_url, host_suffixes, metadata_keys, events) VALUES (true, '{hooks.example}', '{}', '{group}');
INSERT INTO runledger.generations (id, status, metadata) VALUES
    (-1, 'completed', '{"groupId": "shared", "accountId": "SECRETACCOUNT", "webhookUrl": "https://a.hooks.example/SECRETURL"}'),
    (-2, 'failed', '{"groupId": "shared", "webhookUrl": "https://a.hooks.example/others"}'),
    (-3, 'completed', '{"groupId": "SECRETGROUP"}');
SELECT is((SELECT told FROM runledger.tell_groups('0', 1000)), 2::bigint, 'both groups have ended');
UPDATE runledger.notifications SET state = 'dead', last_error = 'HTTP 410', answer_status = 410;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT bag_eq($$ SELECT group_id, webhook_host FROM runledger.failed_notifications_v1 $$,
    $$ VALUES ('shared', '[webhooks] url'), ('shared', 'a.hooks.example'), ('shared', 'a.hooks.example'), ('SECRETGROUP', '[webhooks] url') $$,
    'and a webhook for each place');
SELECT is((SELECT count(*) FROM runledger.application_news_v1 WHERE group_id = 'SECRETGROUP'), 1::bigint, 'which is dead, and news');

SELECT is((SELECT row_count FROM runledger.forget_generation(-1) WHERE table_name = 'notifications'), 1::bigint,
          'what went to a URL that only the forgotten one named is deleted');
SELECT bag_eq($$ SELECT webhook_url, payload #> '{data,account_id}' AS account_id, payload #>> '{data,runs}' AS runs
                 FROM runledger.notifications WHERE group_key = 'shared' $$,
    $$ VALUES (NULL, 'null'::jsonb, '2'), ('https://a.hooks.example/others', 'null', '2') $$,
    'the others keep the sums, and not the account');
SELECT bag_eq($$ SELECT table_name, row_count FROM runledger.forget_generation(-3) WHERE row_count > 0 AND action = 'deleted' $$,
    $$ VALUES ('notifications', 1::bigint), ('application_news', 1) $$, 'of a group without another member nothing stays');
SELECT is((SELECT looked_at FROM runledger.tell_groups('0', 1000)), 2::bigint, 'tell looks at both');
SELECT is_empty($$ SELECT t FROM (SELECT n::text FROM runledger.notifications AS n UNION ALL SELECT n::text FROM runledger.application_news AS n
                                  UNION ALL SELECT q::text FROM runledger.group_queue AS q UNION ALL SELECT s::text FROM runledger.generation_groups AS s
                                  UNION ALL SELECT g::text FROM runledger.generations AS g) AS every (t) WHERE t LIKE '%SECRET%' $$,
                'no word of them is left');
SELECT is((SELECT told_count FROM runledger.generation_groups), 1::bigint, 'and the end is not told again');

SELECT * FROM finish();
ROLLBACK;
