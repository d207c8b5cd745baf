// A small order service with DuckDB inside. It holds the database's lock from
// start to stop and writes all the time, as services of this kind do; nothing
// in it knows that backups are taken, except for the optional POST /checkpoint
// and, with --hold, the hook under /hold/.
//
//   node service.mjs --database shop.duckdb [--port 8080] [--socket FILE]
import { createServer } from 'node:http';
import { rm } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { createHook } from '../node-hook/hook.mjs';
import { Shop } from './shop.mjs';

const { values: options } = parseArgs({
  options: {
    database: { type: 'string', default: 'shop.duckdb' },
    port: { type: 'string', default: '8080' }, // 0 picks a free one
    socket: { type: 'string' }, // also serve on this unix socket
    'checkpoint-threshold': { type: 'string', default: '1MB' },
    'skip-wal-threshold': { type: 'string' }, // estimated bytes from which a commit goes past the log
    'pause-ms': { type: 'string', default: '2' }, // between two transactions
    flood: { type: 'string', default: '0' }, // rows of each batch that a second connection writes meanwhile; 0: none
    'calm-ms': { type: 'string', default: '20' }, // between two such batches
    hold: { type: 'boolean', default: false }, // let backups hold checkpoints back
    'until-eof': { type: 'boolean', default: false }, // stop when standard input ends
  },
});

const shop = await Shop.open(options.database, {
  checkpointThreshold: options['checkpoint-threshold'],
  skipWALThreshold: options['skip-wal-threshold'],
  floodRows: Number(options.flood),
  floodCalmMs: Number(options['calm-ms']),
  keepIndexes: options.hold,
});
const hook = options.hold ? createHook(shop.instance) : undefined;
const servers = [await listen({ port: Number(options.port), host: '127.0.0.1' })];
if (options.socket) {
  await rm(options.socket, { force: true });
  servers.push(await listen({ path: options.socket }));
}
console.log(JSON.stringify({ pid: process.pid, port: servers[0].address().port, database: options.database }));

let stopping = false;
const stop = () => { stopping = true; };
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
if (options['until-eof']) process.stdin.on('end', stop).resume();

try {
  while (!stopping) {
    await shop.step();
    await new Promise((resolve) => setTimeout(resolve, Number(options['pause-ms'])));
  }
} finally {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  await hook?.close();
  await shop.close();
  process.stdin.pause();
}
console.error(`stopped after order ${shop.committed}`);

// listen starts an HTTP server at the address and waits until it accepts.
function listen(address) {
  return new Promise((resolve, reject) => {
    const server = createServer(answer).once('error', reject);
    server.listen(address, () => resolve(server));
  });
}

// answer serves GET /status and POST /checkpoint, and leaves /hold/ to the hook.
async function answer(request, response) {
  const reply = (status, body) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body) + '\n');
  };
  try {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (hook && pathname.startsWith('/hold/')) return await hook(request, response);
    if (request.method === 'GET' && pathname === '/status') {
      return reply(200, { committed: shop.committed, batches: shop.batches, checkpoints: shop.checkpoints });
    }
    if (request.method === 'POST' && pathname === '/checkpoint') {
      await shop.checkpoint();
      return reply(200, { committed: shop.committed, checkpoints: shop.checkpoints });
    }
    return reply(404, { error: `${request.method} ${pathname} is not served` });
  } catch (error) {
    return reply(500, { error: error.message });
  }
}
