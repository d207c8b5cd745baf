export const accounts = 100;

// schema makes a new database ready and leaves an old one as it is.
export const schema = `
  CREATE TABLE IF NOT EXISTS ledger(id BIGINT, account INTEGER, amount BIGINT, balance BIGINT);
  CREATE TABLE IF NOT EXISTS orders(id BIGINT, account INTEGER, cents BIGINT, status VARCHAR, note VARCHAR);
  CREATE TABLE IF NOT EXISTS accounts(id INTEGER, cents BIGINT);
  CREATE TABLE IF NOT EXISTS counters(name VARCHAR, value BIGINT);
  CREATE TABLE IF NOT EXISTS batches(id BIGINT, rows BIGINT, total BIGINT);
  CREATE TABLE IF NOT EXISTS readings(batch BIGINT, i BIGINT, value BIGINT, tag VARCHAR);
  CREATE TABLE IF NOT EXISTS summary(upto BIGINT, amount BIGINT);
  CREATE TABLE IF NOT EXISTS notes(id BIGINT, text VARCHAR);
  CREATE TABLE IF NOT EXISTS floods(id BIGINT, rows BIGINT, total BIGINT);
  CREATE TABLE IF NOT EXISTS flood(batch BIGINT, i BIGINT, value BIGINT);
  INSERT INTO accounts SELECT i, 1000 FROM range(${accounts}) t(i) WHERE NOT EXISTS (FROM accounts);
  INSERT INTO counters SELECT unnest(['deleted', 'stock']), 0 WHERE NOT EXISTS (FROM counters);
  INSERT INTO notes(id, text) SELECT i, 'note ' || i FROM range(1000) t(i) WHERE NOT EXISTS (FROM notes);
`;

// rows returns all rows of a query's result, each an array.
export async function rows(connection, sql) {
  return (await connection.runAndReadAll(sql)).getRows();
}

// transaction runs all statements in one.
export async function transaction(connection, statements) {
  await connection.run('BEGIN');
  try {
    for (const statement of statements) await connection.run(statement);
    await connection.run('COMMIT');
  } catch (error) {
    await connection.run('ROLLBACK').catch(() => {});
    throw error;
  }
}
