// Takes the pictures of the Temporal UI that the README shows.
//
//   cd "$(mktemp -d)" && npm install playwright-core
//   NODE_PATH=$PWD/node_modules node …/docs/screenshots.mjs http://127.0.0.1:8233 …/docs
//
// The first argument is the address of a Web UI with a finished backup, its
// schedule and a finished drill (go run ./standalone prints one, starter drill
// makes a drill), the second the folder for the
// pictures. CHROMIUM names the browser if it is not /usr/bin/chromium.

import { createRequire } from 'node:module';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

// NODE_PATH is for require only, and the package is in no folder above.
const { chromium } = createRequire(import.meta.url)('playwright-core');

const [address, folder] = process.argv.slice(2);
if (!address || !folder) {
  console.error('usage: node screenshots.mjs ADDRESS FOLDER');
  process.exit(2);
}
const api = `${address}/api/v1/namespaces/default`;
const pages = `${address}/namespaces/default`;

async function get(path) {
  const response = await fetch(`${api}${path}`);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

// finished is the page of the newest run of the workflow that completed.
async function finished(workflow) {
  const query = encodeURIComponent(`WorkflowType = '${workflow}' AND ExecutionStatus = 'Completed'`);
  const { executions = [] } = await get(`/workflows?query=${query}`);
  if (executions.length === 0) throw new Error(`there is no finished ${workflow} to show`);
  const { workflowId, runId } = executions[0].execution;
  return `${pages}/workflows/${encodeURIComponent(workflowId)}/${runId}`;
}

async function schedule() {
  const { schedules = [] } = await get('/schedules');
  const found = schedules.find((s) => s.scheduleId.startsWith('canvasback-backup-'));
  if (!found) throw new Error('there is no schedule to show');
  return found.scheduleId;
}

// shoot waits for what the picture is about; the pages never stop loading.
async function shoot(page, url, wanted, file) {
  await page.goto(url, { waitUntil: 'domcontentloaded' });
  for (const text of wanted) {
    await page.locator(`text=${text} >> visible=true`).first().waitFor({ timeout: 30_000 });
  }
  await page.waitForTimeout(2_000); // the timeline is drawn after its text is there
  await page.screenshot({ path: join(folder, file) });
  console.log(join(folder, file));
}

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
try {
  const page = await browser.newPage({ viewport: { width: 1440, height: 1080 }, colorScheme: 'light' });
  await shoot(page, `${await finished('Backup')}/timeline`, ['Checkpoint', 'Copy', 'Verify', 'Prune', 'Completed'], 'ui-run.png');
  await shoot(page, `${await finished('Drill')}/timeline`, ['Choose', 'DrillRestore', 'DrillVerify', 'DrillRecord', 'Completed'], 'ui-drill.png');
  await shoot(page, `${pages}/schedules/${encodeURIComponent(await schedule())}`, ['Recent Run', 'Upcoming Run', 'Schedule Specs'], 'ui-schedule.png');
} finally {
  await browser.close();
}
