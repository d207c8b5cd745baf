// Tests of the hook with a stand-in for the instance: node --test
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { afterEach, beforeEach, test } from 'node:test';
import { createHook } from './hook.mjs';

const token = '0123456789abcdef'.repeat(2);
const other = 'f'.repeat(32);

// Engine stands for DuckDB: transactions, and the checkpoint that they keep
// off. It records every statement with the number of its connection.
class Engine {
  log = [];
  fail = {}; // first word of a statement: the text of its error
  hang = {}; // first word of a statement: it waits for an interrupt
  holding = new Set(); // connections whose transaction created a table
  connections = 0;

  async connect() {
    const engine = this;
    const id = ++this.connections;
    let interrupt = () => {};
    let begun = false;
    return {
      async run(statement) {
        const [word] = statement.split(' ');
        engine.log.push(`${id} ${statement}`);
        await new Promise((resolve) => setImmediate(resolve));
        if (engine.hang[word]) await new Promise((_, reject) => { interrupt = () => reject(new Error('Interrupted')); });
        if (engine.fail[word]) throw new Error(engine.fail[word]);
        if (word === 'BEGIN') begun = true;
        if (word === 'CREATE') {
          assert(begun, 'a table would be left behind');
          engine.holding.add(id);
        }
        if (word === 'ROLLBACK') engine.holding.delete(id);
        if (word === 'CHECKPOINT' && engine.holding.size > 0) throw new Error('Cannot CHECKPOINT: there are other write transactions active');
      },
      runAndReadAll: async (query) => ({ getRows: () => [[query.includes('version()') ? 'v1.5.6' : 'sh"op']] }),
      interrupt: () => interrupt(),
      closeSync() {
        engine.log.push(`${id} closed`);
        engine.holding.delete(id);
      },
    };
  }
}

let engine, hook, server;

async function start(options) {
  engine = new Engine();
  hook = createHook(engine, { renewMs: 3_600_000, ...options });
  server = createServer(hook);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}

beforeEach(() => start());

afterEach(async () => {
  await hook.close();
  server.close();
  server.closeAllConnections();
  assert.equal(engine.holding.size, 0);
});

async function send(method, path, body, headers = {}) {
  const response = await fetch(`http://127.0.0.1:${server.address().port}${path}`, { method, body, headers });
  return [response.status, await response.json()];
}

async function post(path, body, status = 200, error = '') {
  const [got, answer] = await send('POST', path, typeof body === 'string' ? body : JSON.stringify(body));
  assert.equal(got, status, JSON.stringify(answer));
  assert(status === 200 ? answer.error === undefined : answer.error.includes(error), `${answer.error} has no ${error}`);
  return answer;
}

const begin = (of = token, ...want) => post('/hold/begin', { token: of, deadline_seconds: 600 }, ...want);
const end = (of = token, ...want) => post('/hold/end', { token: of }, ...want);

async function until(what) {
  for (const last = Date.now() + 20_000; !what(); await new Promise((resolve) => setTimeout(resolve, 1))) {
    assert(Date.now() < last, 'it never was so');
  }
}

test('a hold begins and ends', async () => {
  assert.deepEqual(await begin(), { token, engine_version: '1.5.6', deadline_seconds: 600 });
  assert.equal((await send('GET', '/hold/status'))[1].holding, true);
  await begin(other, 409, 'another hold is active');
  await end(other, 410, 'no such hold');
  await post('/hold/checkpoint', '', 503, 'not now: Cannot CHECKPOINT');
  await end();
  assert.deepEqual(engine.log.filter((line) => line.startsWith('1 ')), [
    '1 BEGIN TRANSACTION', `1 CREATE TABLE "sh""op".main.__canvasback_hold_${token}_1(i INTEGER)`, '1 ROLLBACK', '1 closed']);
  await end(token, 410, 'that hold is over: it was ended');
  assert.deepEqual((await send('GET', '/hold/status'))[1], { holding: false, engine_version: '1.5.6' });
  await post('/hold/checkpoint', '');
});

test('each transaction is rolled back after the next one has begun', async () => {
  await hook.close();
  server.close();
  await start({ renewMs: 1 });
  await begin();
  await until(() => engine.log.length > 50);
  const log = [...engine.log]; // before the end, after which a renewal may still come and go
  await end();
  const held = new Set();
  const created = new Set();
  for (const [i, line] of log.entries()) {
    const [number, word] = line.split(' ');
    if (word === 'CREATE') {
      assert(!created.has(line.slice(number.length)));
      created.add(line.slice(number.length));
      held.add(number);
    }
    if (word === 'ROLLBACK') held.delete(number);
    assert(held.size > 0 || created.size === 0, `nothing is held after ${i} of ${log}`);
  }
});

test('renewals fail', async () => {
  await hook.close();
  server.close();
  await start({ renewMs: 1 });
  await begin();
  engine.fail.CREATE = 'not now';
  let tried = engine.log.length;
  await until(() => engine.log.length > tried + 20);
  await end();
  engine.fail = {};
  await begin(other);
  engine.hang.CREATE = true;
  tried = engine.log.length;
  await until(() => engine.log.length >= tried + 2);
  await end(other);
  engine.hang = {};
  await begin();
  engine.fail.ROLLBACK = 'connection lost';
  tried = engine.log.length;
  await until(() => engine.log.length > tried + 8);
  engine.fail = {};
  await end(token, 410, 'the hold could not be rolled back: connection lost');
});

test('a hold expires', async () => {
  await post('/hold/begin', { token, deadline_seconds: 1 });
  await until(() => engine.holding.size === 0);
  await end(token, 410, 'that hold is over: it expired at ');
});

test('a hold cannot begin', async () => {
  engine.fail.CREATE = 'read-only';
  await begin(token, 500, 'read-only');
  await end(token, 410, 'no such hold');
  engine.fail = {};
  engine.hang.CREATE = true;
  const beginning = begin(token, 500, 'Interrupted');
  await until(() => engine.log.some((line) => line.startsWith('2 CREATE')));
  await begin(other, 409, 'another hold is active');
  await end(token, 410, 'that hold had not begun');
  await beginning;
  assert.deepEqual(engine.log.slice(-2), ['2 ROLLBACK', '2 closed']);
});

test('the service stops', async () => {
  await begin();
  await hook.close();
  assert.deepEqual(engine.log.slice(-2), ['1 ROLLBACK', '1 closed']);
  await begin(other, 503, 'the service is stopping');
});

test('bad requests', async () => {
  for (const [path, body, error] of [
    ['/begin', '', 'the body is not the JSON that is wanted'],
    ['/begin', 'x'.repeat(5000), 'the body is too long'],
    ['/begin', { token: 'x); DROP TABLE t; --', deadline_seconds: 1 }, 'token must be 32 hexadecimal digits'],
    ['/begin', { token: `${token}\n`, deadline_seconds: 1 }, 'token must be 32 hexadecimal digits'],
    ['/begin', { token, deadline_seconds: 0 }, 'deadline_seconds must be a whole number'],
    ['/end', 'null', 'token must be 32 hexadecimal digits'],
  ]) await post(path, body, 400, error);
  await post('/nothing', '', 404, 'POST /nothing is not served');
  assert.equal((await send('POST', '/checkpoint', '', { origin: 'http://evil.example' }))[0], 403);
  assert.deepEqual(engine.log, []);
});
