-- What is said to whoever listens.
CREATE OR REPLACE FUNCTION runledger.tell_listeners(p_channel text, p_payload text) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- A listener that never reads fills the server's notification queue. A full queue would refuse the transaction, and so
    -- would a payload of 8000 bytes. So neither is sent: a listener reads the tables from time to time, too.
    IF pg_notification_queue_usage() < 0.5 AND octet_length(p_payload) < 8000 THEN
        PERFORM pg_notify(p_channel, p_payload);
    END IF;
END
$$;
COMMENT ON FUNCTION runledger.tell_listeners(text, text) IS
    'NOTIFY, the only one of the ledger: listeners receive it when the transaction is committed. Nothing is sent while the server''s notification queue is half full, and no payload of 8000 bytes or more. Never raises.';
