-- What the Express peer writes to.
CREATE SCHEMA express;
CREATE TABLE express.events (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at timestamptz NOT NULL DEFAULT now(),
    run_id text COLLATE "C" NOT NULL,
    event_type text,
    status text NOT NULL,
    body text NOT NULL
);
CREATE INDEX ON express.events (run_id, received_at);
CREATE TABLE express.runs (
    run_id text COLLATE "C" PRIMARY KEY,
    running_at timestamptz,
    finished_at timestamptz,
    terminal_status text,
    latest_status text NOT NULL,
    progress double precision,
    live_status text,
    event_count bigint NOT NULL DEFAULT 1
);
CREATE TABLE express.generations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    metadata jsonb NOT NULL,
    run_id text COLLATE "C" UNIQUE NOT NULL,
    status text NOT NULL DEFAULT 'pending',
    response_timestamp timestamptz,
    response_payload jsonb,
    duration_ms numeric,
    cost_usd numeric
);
