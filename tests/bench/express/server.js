// The peer of the benchmark: the receiver one would write first, done properly. One process, a pool of connections, an
// event committed before it is answered.
//
// WORK=insert: parse the JSON, insert the event. WORK=ledger: the same work as runledger's as far as the benchmark asks
// for it, in one transaction an event: the event, its run's row, and the generation's result and cost when the run ends.
const express = require('express');
const { Pool } = require('pg');

const pool = new Pool({ max: 16 });
const app = express();
app.disable('x-powered-by');
app.set('etag', false);
app.use(express.json({ limit: '8mb' }));

const insertEvent = {
  name: 'insert_event',
  text: 'INSERT INTO express.events (run_id, event_type, status, body) VALUES ($1, $2, $3, $4)',
};
const joinRun = {
  name: 'join_run',
  text: `INSERT INTO express.runs AS r (run_id, running_at, finished_at, terminal_status, latest_status, progress, live_status)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (run_id) DO UPDATE SET
             running_at = least(r.running_at, excluded.running_at),
             finished_at = coalesce(r.finished_at, excluded.finished_at),
             terminal_status = coalesce(r.terminal_status, excluded.terminal_status),
             latest_status = excluded.latest_status, progress = excluded.progress, live_status = excluded.live_status,
             event_count = r.event_count + 1`,
};
const settle = {
  name: 'settle',
  text: `UPDATE express.generations AS g SET
             status = CASE r.terminal_status WHEN 'success' THEN 'completed' ELSE 'failed' END,
             response_timestamp = r.finished_at,
             response_payload = $2,
             duration_ms = extract(epoch FROM r.finished_at - r.running_at) * 1000,
             cost_usd = round((g.metadata #>> '{costRate,amount}')::numeric
                              * extract(epoch FROM r.finished_at - r.running_at)::numeric, 12)
         FROM express.runs AS r WHERE r.run_id = $1 AND g.run_id = $1 AND g.status <> 'completed'`,
};
const terminal = new Set(['success', 'failed', 'timeout', 'cancelled']);

async function keepInLedger(event, receivedAt) {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query({ ...insertEvent, values: [event.run_id, event.event_type, event.status, JSON.stringify(event)] });
    const isTerminal = terminal.has(event.status);
    await client.query({
      ...joinRun,
      values: [event.run_id, event.status === 'running' ? receivedAt : null, isTerminal ? receivedAt : null,
        isTerminal ? event.status : null, event.status, event.progress, event.live_status],
    });
    if (isTerminal) {
      await client.query({ ...settle, values: [event.run_id, JSON.stringify({ outputs: event.outputs })] });
    }
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

app.post('/api/webhook/comfydeploy', async (request, response) => {
  const event = request.body;
  if (request.query.token !== process.env.TOKEN) {
    return response.status(401).end();
  }
  if (typeof event.run_id !== 'string' || typeof event.status !== 'string') {
    return response.status(400).end();
  }
  try {
    if (process.env.WORK === 'ledger') {
      await keepInLedger(event, new Date());
    } else {
      await pool.query({ ...insertEvent, values: [event.run_id, event.event_type, event.status, JSON.stringify(event)] });
    }
    response.status(200).end();
  } catch (error) {
    console.error(error.message);
    response.status(503).end();
  }
});

app.listen(Number(process.env.PORT), '127.0.0.1', 4096);
