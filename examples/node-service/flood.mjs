import { rows, transaction } from './schema.mjs';

const kept = 2; // batches that stay

// Flood is the service's second writer: batches on a connection of its own,
// beside the orders and beside their checkpoints. Every third is rolled back.
// What always holds: a batch has the rows and the sum that it says.
export class Flood {
  #connection;
  #rows;
  #batch = 0n;
  #stopping = false;
  #done;

  static async start(instance, batchRows, calmMs) {
    const flood = new Flood();
    flood.#connection = await instance.connect();
    flood.#rows = batchRows;
    [[flood.#batch]] = await rows(flood.#connection, 'SELECT coalesce(max(id), 0) FROM floods');
    flood.#done = flood.#run(calmMs);
    flood.#done.catch((error) => { console.error(error); process.exit(1); });
    return flood;
  }

  async stop() {
    this.#stopping = true;
    await this.#done;
    this.#connection.closeSync();
  }

  async #run(calmMs) {
    while (!this.#stopping) {
      await this.#once(++this.#batch);
      await new Promise((resolve) => setTimeout(resolve, calmMs));
    }
  }

  async #once(id) {
    const insert = `INSERT INTO flood SELECT ${id}, i, i * 2654435761 % 4294967291 * 1048573 + ${id} FROM range(${this.#rows}) t(i)`;
    if (id % 3n === 0n) {
      for (const statement of ['BEGIN', insert, 'ROLLBACK']) await this.#connection.run(statement);
      return;
    }
    await transaction(this.#connection, [
      insert,
      `INSERT INTO floods SELECT ${id}, count(*), sum(value % 1009)::BIGINT FROM flood WHERE batch = ${id}`,
      `DELETE FROM flood WHERE batch <= ${id - BigInt(kept)}`,
      `DELETE FROM floods WHERE id <= ${id - BigInt(kept)}`,
    ]);
  }
}
