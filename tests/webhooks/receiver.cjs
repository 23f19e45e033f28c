// A receiver by the package standardwebhooks, as an application would write it. It writes a line of JSON for each
// webhook that it verified, with its headers, and of each that it refused the reason.
//
//   node receiver.cjs PORT FILE SECRET
const { appendFileSync } = require("node:fs");
const { createServer } = require("node:http");
const { createRequire } = require("node:module");
const { Webhook } = createRequire(`${process.env.RUNLEDGER_NODE_PACKAGES}/`)("standardwebhooks");

const [port, file, secret] = process.argv.slice(2);
const webhook = new Webhook(secret);
createServer(async (request, response) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const body = Buffer.concat(pieces).toString();
  const headers = request.headers;
  const note = (result) => appendFileSync(file, JSON.stringify({ ...result, headers, body }) + "\n");
  try {
    const event = webhook.verify(body, headers);
    note({ verified: true, type: event.type, run_id: event.data.run_id, settlement: event.data.settlement });
    response.writeHead(204).end();
  } catch (error) {
    note({ verified: false, error: error.message });
    response.writeHead(401).end();
  }
}).listen(Number(port), "127.0.0.1");
