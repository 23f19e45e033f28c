-- In how many milliseconds something falls due by itself: a delay ends, a dead daemon's lease runs out, a chat is no
-- longer held. NULL: nothing that is known now.
SELECT (extract(epoch FROM least(
    (SELECT min(not_before) FROM runledger.notifications
     WHERE state = 'pending' AND channel = 'telegram' AND not_before > now()),
    (SELECT min(lease_until) FROM runledger.notifications
     WHERE state = 'leased' AND channel = 'telegram' AND lease_until > now()),
    (SELECT min(held_until) FROM runledger.telegram_chats WHERE held_until > now())) - now()) * 1000)::bigint
