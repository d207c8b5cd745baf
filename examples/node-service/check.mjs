// Checks a copy of the service's database: opens it read-write, reads every
// column of every table, asks for each invariant, folds the write-ahead log,
// closes, and does it all again. The check changes the copy.
//
//   node check.mjs --database COPY --invariants FILE [--at-least N] [--at-most N]
//
// FILE is a JSON list of { name, sql, when }: sql counts what contradicts the
// invariant; where there is a when, sql is asked only if its value is not 0.
// The answer is one line of JSON: the last order, the faults, and the kind of a
// bad copy: "open" (it does not open), "read" (a query fails), "data" (an
// invariant does not hold), "lost" (it lacks orders that it must hold), "late"
// (it is sound only at first).
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { DuckDBInstance } from '@duckdb/node-api';
import { rows } from './schema.mjs';

const { values: options } = parseArgs({
  options: {
    database: { type: 'string' },
    invariants: { type: 'string' },
    'at-least': { type: 'string', default: '0' },
    'at-most': { type: 'string', default: String(Number.MAX_SAFE_INTEGER) },
  },
});
const invariants = JSON.parse(readFileSync(options.invariants, 'utf8'));
if (!existsSync(options.database) || invariants.length === 0) {
  console.error('there is no database, or no invariant');
  process.exit(2);
}

const report = await look(true);
if (report.kind === '' && (report.last < Number(options['at-least']) || report.last > Number(options['at-most']))) {
  fault(report, 'lost', `the last order is ${report.last}, not one of ${options['at-least']} to ${options['at-most']}`);
}
if (report.kind === '') {
  const again = await look(false);
  if (again.last !== report.last) fault(again, 'late', `the last order was ${report.last} at first and is ${again.last}`);
  if (again.kind !== '') Object.assign(report, again, { kind: 'late' });
}
console.log(JSON.stringify(report));

function fault(report, kind, text) {
  report.faults.push(text);
  if (report.kind === '' || kind === 'read') report.kind = kind;
}

// look opens the file, reads it, asks for the invariants, and folds the log if
// it is to.
async function look(fold) {
  const report = { last: 0, faults: [], kind: '' };
  let instance, connection;
  try {
    instance = await DuckDBInstance.create(options.database, { threads: '1' });
    connection = await instance.connect();
  } catch (error) {
    fault(report, 'open', error.message);
    return report;
  }
  const number = async (name, sql) => {
    try {
      const [[value]] = await rows(connection, `SELECT CAST((${sql}) AS BIGINT)`);
      return value === null ? NaN : Number(value);
    } catch (error) {
      fault(report, 'read', `${name}: ${error.message}`);
      return undefined;
    }
  };
  try {
    const tables = await rows(connection, `SELECT format('"{}"."{}"', schema_name, table_name) FROM duckdb_tables() WHERE NOT internal ORDER BY 1`);
    if (tables.length === 0) fault(report, 'read', 'there is no table');
    for (const [table] of tables) await rows(connection, `SELECT bit_xor(hash(COLUMNS(*))) FROM ${table}`);
  } catch (error) {
    fault(report, 'read', error.message);
  }
  report.last = (await number('last order', 'SELECT coalesce(max(id), 0) FROM ledger')) ?? 0;
  for (const { name, when, sql } of invariants) {
    const applies = when ? await number(name, when) : 1;
    if (!applies) continue;
    const found = await number(name, sql);
    if (found !== undefined && found !== 0) fault(report, 'data', `${name}: ${found} faults`);
  }
  if (fold && report.kind === '') {
    await connection.run('CHECKPOINT').catch((error) => fault(report, 'late', error.message));
  }
  connection.closeSync();
  instance.closeSync();
  return report;
}
