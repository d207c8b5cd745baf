import { DuckDBInstance } from '@duckdb/node-api';
import { Flood } from './flood.mjs';
import { accounts, rows, schema, transaction } from './schema.mjs';

const batchRows = 20_000;
const batchesKept = 6;

// Shop is the database with its writer. What always holds, in every committed
// state: ledger and orders have the ids 1..n without a gap (deleted orders are
// counted), a balance is the sum of the amounts up to it, transfers keep the
// total of all accounts, a batch has the rows and the sum it says, and stock is
// there when its counter is not 0.
export class Shop {
  #instance;
  #keepIndexes;
  #connection;
  #flood;
  #pending = []; // work that waits for the end of the current transaction
  #closed = false;
  #balance = 0n;
  #stock = false; // stock is there
  #column = false; // notes has its extra column
  #index = false; // batches has its index
  committed = 0; // the last order that is committed
  batches = 0;
  checkpoints = 0;

  // open takes { checkpointThreshold, skipWALThreshold, floodRows, floodCalmMs,
  // keepIndexes }; skipWALThreshold may be undefined, floodRows 0 means no second
  // writer, keepIndexes that no index is made or dropped, which DuckDB does not
  // bear beside a hold.
  static async open(path, options) {
    const shop = new Shop();
    const settings = { checkpoint_threshold: options.checkpointThreshold, threads: '1' };
    if (options.skipWALThreshold !== undefined) settings.auto_checkpoint_skip_wal_threshold = options.skipWALThreshold;
    shop.#keepIndexes = options.keepIndexes;
    shop.#instance = await DuckDBInstance.create(path, settings);
    shop.#connection = await shop.#instance.connect();
    await shop.#connection.run(schema);
    const [[id, balance, batch, stock, column, index]] = await rows(shop.#connection, `SELECT
      (SELECT coalesce(max(id), 0) FROM ledger), (SELECT coalesce(sum(amount), 0)::BIGINT FROM ledger),
      (SELECT coalesce(max(id), 0) FROM batches),
      (SELECT count(*) > 0 FROM duckdb_tables() WHERE table_name = 'stock'),
      (SELECT count(*) > 0 FROM duckdb_columns() WHERE table_name = 'notes' AND column_name = 'extra'),
      (SELECT count(*) > 0 FROM duckdb_indexes() WHERE index_name = 'batches_id')`);
    shop.committed = Number(id);
    shop.#balance = balance;
    shop.batches = Number(batch);
    [shop.#stock, shop.#column, shop.#index] = [stock, column, index];
    if (options.floodRows > 0) shop.#flood = await Flood.start(shop.#instance, options.floodRows, options.floodCalmMs);
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
    if (id % 37 === 0 && !this.#keepIndexes) await this.#buildIndex();
    if (id % 60 === 0) await this.#connection.run('CREATE OR REPLACE TABLE summary AS SELECT max(id) AS upto, sum(amount)::BIGINT AS amount FROM ledger');
    if (id % 83 === 0) await this.#restock(5000 + (id % 100));
    if (id % 97 === 0) await this.#alter();
    if (id % 250 === 0) await this.#fold();
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

  async close() {
    this.#closed = true;
    await this.#flood?.stop();
    this.#connection.closeSync();
    this.#instance.closeSync();
  }

  // instance is DuckDB's, for further connections; close ends them, too.
  get instance() {
    return this.#instance;
  }

  async #order(id) {
    const amount = BigInt((id * 7919) % 1000) - 300n;
    const balance = this.#balance + amount;
    const [from, to] = [id % accounts, (id * 31 + 7) % accounts];
    await transaction(this.#connection, [
      `INSERT INTO ledger VALUES (${id}, ${from}, ${amount}, ${balance})`,
      `INSERT INTO orders VALUES (${id}, ${from}, ${amount}, 'new', 'order ' || ${id})`,
      `UPDATE accounts SET cents = cents - 5 WHERE id = ${from}`,
      `UPDATE accounts SET cents = cents + 5 WHERE id = ${to}`,
    ]);
    this.#balance = balance;
    this.committed = id;
  }

  async #batch(id) {
    await transaction(this.#connection, [
      `INSERT INTO readings SELECT ${id}, i, (i * ${id}) % 1009, md5(i::VARCHAR || '-' || ${id}) FROM range(${batchRows}) t(i)`,
      `INSERT INTO batches SELECT ${id}, count(*), sum(value)::BIGINT FROM readings WHERE batch = ${id}`,
      `DELETE FROM readings WHERE batch <= ${id - batchesKept}`,
      `DELETE FROM batches WHERE id <= ${id - batchesKept}`,
    ]);
    this.batches = id;
  }

  async #archive(upto) {
    await transaction(this.#connection, [
      `UPDATE counters SET value = value + (SELECT count(*) FROM orders WHERE id <= ${upto}) WHERE name = 'deleted'`,
      `DELETE FROM orders WHERE id <= ${upto}`,
    ]);
  }

  async #buildIndex() {
    await this.#connection.run(this.#index ? 'DROP INDEX batches_id' : 'CREATE INDEX batches_id ON batches(id)');
    this.#index = !this.#index;
  }

  // restock makes the table stock and counts its rows, or drops it.
  async #restock(count) {
    await transaction(this.#connection, this.#stock
      ? ['DROP TABLE stock', "UPDATE counters SET value = 0 WHERE name = 'stock'"]
      : [
        `CREATE TABLE stock AS SELECT i AS id, i * 31 % 997 AS pieces FROM range(${count}) t(i)`,
        `UPDATE counters SET value = ${count} WHERE name = 'stock'`,
      ]);
    this.#stock = !this.#stock;
  }

  async #alter() {
    await this.#connection.run(this.#column ? 'ALTER TABLE notes DROP COLUMN extra' : 'ALTER TABLE notes ADD COLUMN extra INTEGER DEFAULT 7');
    this.#column = !this.#column;
  }

  // fold runs CHECKPOINT; that a transaction holds it off is no fault.
  async #fold() {
    await this.#connection.run('CHECKPOINT').catch((error) => {
      if (!error.message.includes('Cannot CHECKPOINT')) throw error;
    });
  }
}
