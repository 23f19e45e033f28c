-- Webhooks out: what the daemon's configuration asks for, where SQL can see it; and which receivers fail, so that every
-- daemon knows it and a restart forgets none of it.
CREATE TABLE runledger.webhook_settings (
    is_the_only_row boolean PRIMARY KEY DEFAULT true,
    to_url boolean NOT NULL,
    host_suffixes text[] NOT NULL,
    metadata_keys text[] NOT NULL,
    events text[] NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhook_settings_are_one_row CHECK (is_the_only_row),
    CONSTRAINT webhook_settings_events_are_known CHECK (events <@ ARRAY['settled', 'progress'])
);
COMMENT ON TABLE runledger.webhook_settings IS
    'What [webhooks] of the daemon''s configuration asks for: one row, or none while webhooks are off. A settlement writes its webhooks by it, whoever settles. Written by the daemon when it starts and when it reloads its configuration.';
COMMENT ON COLUMN runledger.webhook_settings.is_the_only_row IS 'Always true: there is at most one row.';
COMMENT ON COLUMN runledger.webhook_settings.to_url IS 'Whether there is a [webhooks] url, which gets each event.';
COMMENT ON COLUMN runledger.webhook_settings.host_suffixes IS
    '[webhooks] host_suffixes: metadata.webhookUrl may name a host with one of these.';
COMMENT ON COLUMN runledger.webhook_settings.metadata_keys IS
    '[webhooks] metadata_keys: the keys of metadata that a payload has; * stands for all.';
COMMENT ON COLUMN runledger.webhook_settings.events IS '[webhooks] events. settled: each settlement. progress: how running runs get on.';
COMMENT ON COLUMN runledger.webhook_settings.changed_at IS 'When a daemon wrote it last.';

CREATE TABLE runledger.webhook_hosts (
    host text COLLATE "C" PRIMARY KEY,
    failures integer NOT NULL,
    closed_until timestamptz NOT NULL,
    asked_until timestamptz,
    last_error text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT webhook_hosts_have_failed CHECK (failures >= 0)
);
COMMENT ON TABLE runledger.webhook_hosts IS
    'The breaker: receivers of webhooks that fail or have asked to wait; most have no row. The row is deleted when the host accepts a webhook, unless it has asked to wait. Written by the daemon.';
COMMENT ON COLUMN runledger.webhook_hosts.host IS 'As notifications.webhook_host.';
COMMENT ON COLUMN runledger.webhook_hosts.failures IS
    'Attempts in a row, of all webhooks to the host, that got no answer, a redirect, 429 or 5xx. From [webhooks] breaker_failures on, the host gets one webhook at a time.';
COMMENT ON COLUMN runledger.webhook_hosts.closed_until IS
    'No daemon sends to the host before this moment; not before asked_until.';
COMMENT ON COLUMN runledger.webhook_hosts.asked_until IS
    'Until when the host has asked to wait (Retry-After); NULL: it has not. A webhook that it accepts meanwhile does not change it, because that was sent before.';
COMMENT ON COLUMN runledger.webhook_hosts.last_error IS 'How the last of them failed.';
COMMENT ON COLUMN runledger.webhook_hosts.changed_at IS 'When it failed.';
