// Lets a Node.js service with DuckDB inside help its backups: it folds the
// write-ahead log when asked, and keeps checkpoints off while a copy of the
// database file runs.
//
//   const hook = createHook(instance);           // of @duckdb/node-api
//   createServer(hook).listen(8081, '127.0.0.1');
//   ...
//   await hook.close();                          // before the instance is closed
//
// The handler serves POST .../checkpoint, POST .../begin, POST .../end and GET
// .../status under any prefix, and answers in JSON; a refusal is
// {"error":"..."}: 409 where another hold is active, 410 where a hold to be
// ended was not in force, 503 where the same request can succeed later.
//
// A hold is a transaction on a connection of its own that has created a table
// and stays open: while it does, no checkpoint of any kind can start, and the
// CREATE does not return before a running one has ended. It is rolled back in
// the end, so that the table is never there. This is so in DuckDB 1.1 to 1.5.
//
// Old transactions are bad for a service, so that a hold is a chain of young
// ones: four times a second the next one begins, and then the one before is
// rolled back. The hold was in force only if every ROLLBACK has succeeded.
//
// What to know before you use it:
//
// - DuckDB has faults beside a transaction that is older than a change, be it a
//   hold's or a query's. In 1.5.6, DELETE, CREATE INDEX and DELETE of one table
//   make the end of the older transaction invalidate the database until it is
//   opened again; in 1.1.3 rows deleted around a DROP INDEX come back. In 1.4.1 a
//   primary key that was deleted cannot be inserted again before the older
//   transaction ends. Renewal leaves half a second for this to happen in; do not
//   use holds in a service that does it in quick succession.
// - The write-ahead log grows for as long as a hold lasts. Every hold has a
//   deadline, after which it ends by itself; maxHoldSeconds bounds it.
// - FORCE CHECKPOINT waits for the hold, spins a core meanwhile (up to DuckDB
//   1.5), and blocks later write transactions. Do not use it beside this.
// - After a hold, the next commit may checkpoint all that the log has gathered.
// - Never open and close the database file itself inside the service's process,
//   not even to read it: that drops DuckDB's lock on it.
// - Whoever can send requests can hold checkpoints back: listen on loopback or
//   a unix socket. Requests of web pages are refused.

const maxBody = 4096; // bytes of a request

class Refusal extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

// createHook returns a request handler with a method close, which ends the
// hold, if there is one, and resolves when nothing uses the instance any more.
// Options: catalog, the name under which the database is attached, needed
// where more than one file is; waitMs bounds the wait for a running checkpoint;
// maxHoldSeconds bounds a hold; renewMs is the age at which a transaction of a
// hold is replaced by a younger one.
export function createHook(instance, options = {}) {
  const hook = new Hook(instance, { catalog: '', waitMs: 20_000, maxHoldSeconds: 3600, renewMs: 250, ...options });
  const handler = (request, response) => hook.serve(request, response);
  handler.close = () => hook.close();
  return handler;
}

class Hook {
  #instance;
  #options;
  #active; // the hold that is begun or beginning
  #last = {}; // token and end of the hold before
  #version;
  #closed = false;
  #calls = new Set(); // what close waits for

  constructor(instance, options) {
    this.#instance = instance;
    this.#options = options;
  }

  async serve(request, response) {
    const call = this.#answer(request, response).then(
      (body) => [200, body],
      (error) => [error.status ?? 500, { error: error.message }],
    );
    this.#calls.add(call);
    const [status, body] = await call;
    this.#calls.delete(call);
    const headers = { 'content-type': 'application/json' };
    if (status === 503) headers['retry-after'] = '5';
    response.writeHead(status, headers);
    response.end(JSON.stringify(body) + '\n');
  }

  async close() {
    this.#closed = true;
    const hold = this.#active;
    if (hold && !hold.begun) this.#giveUp(hold);
    if (hold?.begun) await this.#release(this.#take(hold, 'the service stopped'));
    await Promise.all(this.#calls);
  }

  async #answer(request, response) {
    if (this.#closed) throw new Refusal(503, 'the service is stopping');
    if (request.headers.origin) throw new Refusal(403, 'web pages are not served');
    const { pathname } = new URL(request.url, 'http://localhost');
    switch (`${request.method} ${pathname.slice(pathname.lastIndexOf('/'))}`) {
      case 'POST /checkpoint': return this.#checkpoint();
      case 'POST /begin': return this.#begin(await readHold(request, true), response);
      case 'POST /end': return this.#end(await readHold(request, false));
      case 'GET /status': return this.#status();
      default: throw new Refusal(404, `${request.method} ${pathname} is not served`);
    }
  }

  async #begin({ token, deadline_seconds: asked }, response) {
    if (this.#closed) throw new Refusal(503, 'the service is stopping');
    if (this.#active) throw new Refusal(409, 'another hold is active');
    const hold = { token, begun: false, givenUp: false, links: 0 };
    this.#active = hold;
    // A client that goes away knows of no hold.
    response.on('close', () => {
      if (!hold.begun) this.#giveUp(hold);
    });
    try {
      const version = await this.#acquire(hold);
      if (hold.givenUp) throw new Refusal(503, 'the hold was given up before it had begun');
      const seconds = Math.min(asked, this.#options.maxHoldSeconds);
      hold.begun = true;
      hold.since = new Date();
      hold.deadline = new Date(hold.since.getTime() + seconds * 1000);
      hold.timer = setTimeout(() => this.#expire(hold), seconds * 1000);
      this.#renewLater(hold);
      return { token, engine_version: version, deadline_seconds: seconds };
    } catch (error) {
      this.#active = undefined;
      await this.#release(hold).catch(() => {}); // the connection is closed all the same
      throw error;
    }
  }

  // acquire opens the first transaction of the hold.
  async #acquire(hold) {
    hold.link = {};
    return this.#open(hold.link, hold);
  }

  #renewLater(hold) {
    hold.renewal = setTimeout(() => {
      hold.renewing = this.#renew(hold).finally(() => { hold.renewing = undefined; });
    }, this.#options.renewMs);
  }

  // renew lets a younger transaction take the place of the hold's, and rolls
  // the older one back after that; where that fails, the hold is broken. Where
  // there can be no younger one, the older stays. It never rejects.
  async #renew(hold) {
    let other = {};
    hold.next = other;
    try {
      await this.#open(other, hold);
      if (this.#active !== hold) return;
      const older = hold.link;
      [hold.link, hold.next, other] = [other, undefined, {}];
      await this.#rollBack(older).catch((error) => { hold.broken = error; });
    } catch {
      // another try follows
    } finally {
      hold.next = undefined;
      await this.#rollBack(other).catch(() => {}); // closed all the same
      if (this.#active === hold) this.#renewLater(hold);
    }
  }

  // open opens a transaction that keeps checkpoints off. Where it fails, the
  // link is to be rolled back all the same.
  async #open(link, hold) {
    const connection = await this.#instance.connect();
    link.connection = connection;
    const version = await this.#engineVersion(connection);
    const catalog = await this.#catalog(connection);
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      connection.interrupt();
    }, this.#options.waitMs);
    try {
      link.open = true;
      await connection.run('BEGIN TRANSACTION');
      await connection.run(`CREATE TABLE ${catalog}.main.__canvasback_hold_${hold.token}_${++hold.links}(i INTEGER)`);
    } catch (error) {
      if (late) throw new Refusal(503, `the hold could not begin within ${this.#options.waitMs} ms: ${error.message}`);
      throw error;
    } finally {
      clearTimeout(timer);
    }
    return version;
  }

  #giveUp(hold) {
    hold.givenUp = true;
    hold.link?.connection?.interrupt();
  }

  // end resolves only if the hold was in force until then.
  async #end({ token }) {
    const hold = this.#active;
    if (hold?.token !== token) {
      throw new Refusal(410, this.#last.token === token ? `that hold is over: ${this.#last.end}` : 'no such hold');
    }
    if (!hold.begun) {
      this.#giveUp(hold);
      throw new Refusal(410, 'that hold had not begun');
    }
    try {
      await this.#release(this.#take(hold, 'it was ended'));
    } catch (error) {
      throw new Refusal(410, error.message);
    }
    return {};
  }

  #expire(hold) {
    if (this.#active !== hold) return;
    const call = this.#release(this.#take(hold, `it expired at ${hold.deadline.toISOString()}`))
      .catch((error) => { this.#last.end += `, and ${error.message}`; })
      .finally(() => this.#calls.delete(call));
    this.#calls.add(call);
  }

  // take takes a begun hold out, for its caller to release.
  #take(hold, end) {
    clearTimeout(hold.timer);
    clearTimeout(hold.renewal);
    this.#active = undefined;
    this.#last = { token: hold.token, end };
    return hold;
  }

  // release ends the transaction in force, and waits for an older one that is
  // being ended. It resolves if there always was one in force until then.
  async #release(hold) {
    hold.next?.connection?.interrupt();
    await hold.renewing;
    await this.#rollBack(hold.link ?? {});
    if (hold.broken) throw hold.broken;
  }

  // rollBack ends a transaction on its own connection and closes that, which
  // ends whatever it may still have open.
  async #rollBack(link) {
    try {
      if (link.open) await link.connection.run('ROLLBACK');
    } catch (error) {
      throw new Error(`the hold could not be rolled back: ${error.message}`);
    } finally {
      link.connection?.closeSync();
    }
  }

  async #checkpoint() {
    const connection = await this.#instance.connect();
    try {
      await connection.run(`CHECKPOINT ${await this.#catalog(connection)}`);
      return {};
    } catch (error) {
      throw error.message.includes('Cannot CHECKPOINT') ? new Refusal(503, `not now: ${error.message}`) : error;
    } finally {
      connection.closeSync();
    }
  }

  async #status() {
    if (this.#version === undefined) {
      const connection = await this.#instance.connect();
      await this.#engineVersion(connection).finally(() => connection.closeSync());
    }
    const hold = this.#active?.begun ? this.#active : undefined;
    return { holding: hold !== undefined, since: hold?.since, deadline: hold?.deadline, engine_version: this.#version };
  }

  async #engineVersion(connection) {
    this.#version ??= (await rows(connection, 'SELECT version()'))[0][0].replace(/^v/, '');
    return this.#version;
  }

  // catalog is the quoted name of the database.
  async #catalog(connection) {
    let name = this.#options.catalog;
    if (!name) {
      const files = await rows(connection, 'SELECT database_name FROM duckdb_databases() WHERE path IS NOT NULL AND NOT internal AND NOT readonly');
      if (files.length !== 1) throw new Error(`${files.length} database files are attached for writing, where the option catalog is needed unless it is one`);
      [[name]] = files;
    }
    return `"${name.replaceAll('"', '""')}"`;
  }
}

async function rows(connection, sql) {
  return (await connection.runAndReadAll(sql)).getRows();
}

// readHold reads the body of POST /begin or POST /end.
async function readHold(request, begins) {
  let text = '';
  for await (const chunk of request) {
    text += chunk;
    if (text.length > maxBody) throw new Refusal(400, 'the body is too long');
  }
  let body;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new Refusal(400, `the body is not the JSON that is wanted: ${error.message}`);
  }
  if (!/^[0-9a-f]{32}$/.test(body?.token)) throw new Refusal(400, 'token must be 32 hexadecimal digits');
  if (begins && !(Number.isInteger(body.deadline_seconds) && body.deadline_seconds >= 1)) {
    throw new Refusal(400, 'deadline_seconds must be a whole number, at least 1');
  }
  return body;
}
