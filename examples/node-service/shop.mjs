import { DuckDBInstance } from '@duckdb/node-api';

const accounts = 100;
const batchRows = 20_000;
const batchesKept = 15;

const schema = `
  CREATE TABLE IF NOT EXISTS ledger(id BIGINT, account INTEGER, amount BIGINT, balance BIGINT);
  CREATE TABLE IF NOT EXISTS orders(id BIGINT, account INTEGER, cents BIGINT, status VARCHAR, note VARCHAR);
  CREATE TABLE IF NOT EXISTS accounts(id INTEGER, cents BIGINT);
  CREATE TABLE IF NOT EXISTS counters(name VARCHAR, value BIGINT);
  CREATE TABLE IF NOT EXISTS batches(id BIGINT, rows BIGINT, total BIGINT);
  CREATE TABLE IF NOT EXISTS readings(batch BIGINT, i BIGINT, value BIGINT, tag VARCHAR);
  CREATE TABLE IF NOT EXISTS summary(upto BIGINT, amount BIGINT);
  INSERT INTO accounts SELECT i, 1000 FROM range(${accounts}) t(i) WHERE NOT EXISTS (FROM accounts);
  INSERT INTO counters SELECT 'deleted', 0 WHERE NOT EXISTS (FROM counters);
`;

// Shop is the database with one writer. What always holds, in every committed
// state: ledger and orders have the ids 1..n without a gap (deleted orders are
// counted), a balance is the sum of the amounts up to it, transfers keep the
// total of all accounts, and a batch has the rows and the sum it says.
export class Shop {
  #instance;
  #connection;
  #pending = []; // work that waits for the end of the current transaction
  #closed = false;
  #balance = 0n;
  committed = 0; // the last order that is committed
  batches = 0;
  checkpoints = 0;

  static async open(path, checkpointThreshold) {
    const shop = new Shop();
    shop.#instance = await DuckDBInstance.create(path, { checkpoint_threshold: checkpointThreshold, threads: '1' });
    shop.#connection = await shop.#instance.connect();
    await shop.#connection.run(schema);
    const [[id, balance]] = await shop.#rows('SELECT coalesce(max(id), 0), coalesce(max_by(balance, id), 0)::BIGINT FROM ledger');
    const [[batch]] = await shop.#rows('SELECT coalesce(max(id), 0) FROM batches');
    shop.committed = Number(id);
    shop.#balance = balance;
    shop.batches = Number(batch);
    return shop;
  }

  // step commits the next order and, now and then, something larger; then it
  // does the work that others asked for.
  async step() {
    await this.#order(this.committed + 1);
    const id = this.committed;
    if (id % 25 === 0) await this.#batch(this.batches + 1);
    if (id % 11 === 0) await this.#connection.run(`UPDATE orders SET status = 'shipped', note = note || '.' WHERE id > ${id - 40} AND id % 3 = 0`);
    if (id % 13 === 0) await this.#archive(id - 500);
    if (id % 60 === 0) await this.#connection.run('CREATE OR REPLACE TABLE summary AS SELECT max(id) AS upto, sum(amount)::BIGINT AS amount FROM ledger');
    if (id % 250 === 0) await this.#connection.run('CHECKPOINT');
    for (const job of this.#pending.splice(0)) await job();
  }

  // checkpoint folds the write-ahead log into the database between two
  // transactions, and resolves when that is done.
  checkpoint() {
    if (this.#closed) return Promise.reject(new Error('the service is stopping'));
    return new Promise((resolve, reject) => {
      this.#pending.push(async () => {
        try {
          await this.#connection.run('CHECKPOINT');
          this.checkpoints++;
          resolve();
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  close() {
    this.#closed = true;
    this.#connection.closeSync();
    this.#instance.closeSync();
  }

  async #order(id) {
    const amount = BigInt((id * 7919) % 1000) - 300n;
    const balance = this.#balance + amount;
    const [from, to] = [id % accounts, (id * 31 + 7) % accounts];
    await this.#transaction([
      `INSERT INTO ledger VALUES (${id}, ${from}, ${amount}, ${balance})`,
      `INSERT INTO orders VALUES (${id}, ${from}, ${amount}, 'new', 'order ' || ${id})`,
      `UPDATE accounts SET cents = cents - 5 WHERE id = ${from}`,
      `UPDATE accounts SET cents = cents + 5 WHERE id = ${to}`,
    ]);
    this.#balance = balance;
    this.committed = id;
  }

  async #batch(id) {
    await this.#transaction([
      `INSERT INTO readings SELECT ${id}, i, (i * ${id}) % 1009, md5(i::VARCHAR || '-' || ${id}) FROM range(${batchRows}) t(i)`,
      `INSERT INTO batches SELECT ${id}, count(*), sum(value)::BIGINT FROM readings WHERE batch = ${id}`,
      `DELETE FROM readings WHERE batch <= ${id - batchesKept}`,
      `DELETE FROM batches WHERE id <= ${id - batchesKept}`,
    ]);
    this.batches = id;
  }

  async #archive(upto) {
    await this.#transaction([
      `UPDATE counters SET value = value + (SELECT count(*) FROM orders WHERE id <= ${upto}) WHERE name = 'deleted'`,
      `DELETE FROM orders WHERE id <= ${upto}`,
    ]);
  }

  async #transaction(statements) {
    await this.#connection.run('BEGIN');
    try {
      for (const statement of statements) await this.#connection.run(statement);
      await this.#connection.run('COMMIT');
    } catch (error) {
      await this.#connection.run('ROLLBACK').catch(() => {});
      throw error;
    }
  }

  async #rows(sql) {
    return (await this.#connection.runAndReadAll(sql)).getRows();
  }
}
