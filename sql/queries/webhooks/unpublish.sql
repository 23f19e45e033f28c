-- Webhooks are off: settlements write none from now on.
DELETE FROM runledger.webhook_settings
