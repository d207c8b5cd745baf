// Takes the pictures of the Temporal UI that the documents show; the runs are
// made, and this is called, by
//
//   go run ./standalone/screenshots docs
//
// The first argument is the address of a Web UI that has them, the second the
// folder for the pictures. CHROMIUM names the browser if it is not
// /usr/bin/chromium.

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
const [width, height] = [1440, 1080];
const pages = `${address}/namespaces/default`;

async function get(path) {
  const response = await fetch(`${api}${path}`);
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return response.json();
}

// run is the page of the newest run that the query finds.
async function run(query) {
  const { executions = [] } = await get(`/workflows?query=${encodeURIComponent(query)}`);
  if (executions.length === 0) throw new Error(`there is no run to show: ${query}`);
  const { workflowId, runId } = executions[0].execution;
  return `${pages}/workflows/${encodeURIComponent(workflowId)}/${runId}`;
}

// retried is the page of a backup one of whose steps was tried again.
async function retried() {
  const { executions = [] } = await get(`/workflows?query=${encodeURIComponent("WorkflowType = 'Backup' AND ExecutionStatus = 'Completed'")}`);
  for (const { execution: { workflowId, runId } } of executions) {
    const path = `/workflows/${encodeURIComponent(workflowId)}`;
    const { history } = await get(`${path}/history?execution.runId=${runId}&maximumPageSize=200`);
    if (history.events.some((e) => e.activityTaskStartedEventAttributes?.attempt > 1)) return `${pages}${path}/${runId}`;
  }
  throw new Error('there is no run with a retry to show');
}

async function schedule() {
  const { schedules = [] } = await get('/schedules');
  const found = schedules.find((s) => s.scheduleId.startsWith('canvasback-backup-'));
  if (!found) throw new Error('there is no schedule to show');
  return found.scheduleId;
}

// open waits for what the page is about; the pages never stop loading. Texts may
// be in the frames in which Markdown is drawn.
async function open(page, url, wanted) {
  await page.goto(url, { waitUntil: 'domcontentloaded' });
  const end = Date.now() + 60_000;
  for (const text of wanted) {
    for (;;) {
      const found = await Promise.all(page.frames().map((f) => f.getByText(text).filter({ visible: true }).count().catch(() => 0)));
      if (found.some((n) => n > 0)) break;
      if (Date.now() > end) throw new Error(`${url} does not show ${text}`);
      await page.waitForTimeout(200);
    }
  }
  await page.waitForTimeout(2_000); // the timeline is drawn after its text is there
}

async function save(page, file, options) {
  await page.screenshot({ path: join(folder, file), ...options });
  console.log(join(folder, file));
}

async function shoot(page, url, wanted, file) {
  await open(page, url, wanted);
  await save(page, file);
}

// shootRun puts a run's timeline below what the run says of itself, which are
// two pages of the UI.
async function shootRun(page, url, said, steps, file) {
  await open(page, `${url}/timeline`, steps);
  const heading = await page.getByRole('heading', { name: 'Timeline' }).first().boundingBox();
  const end = await page.evaluate(() => Math.max(...[...document.querySelectorAll('svg')].map((s) => s.getBoundingClientRect().bottom)));
  const x = Math.floor(heading.x) - 24; // without the menu at the left
  const timeline = await page.screenshot({ fullPage: true, clip: { x, y: heading.y - 8, width: width - x, height: end - heading.y + 24 } });
  await open(page, `${url}/user-metadata`, ['Current Details', ...said]);
  // The frames are as high as what they show.
  const bottom = await page.evaluate(() => Math.max(...[...document.querySelectorAll('iframe')].map((f) => f.getBoundingClientRect().bottom)));
  const story = await page.screenshot({ fullPage: true, clip: { x, y: 48, width: width - x, height: bottom - 48 } });
  const both = await browser.newPage({ viewport: { width: width - x, height: 100 } });
  const images = [story, timeline].map((png) => `<img style="display:block" src="data:image/png;base64,${png.toString('base64')}">`);
  await both.setContent(`<body style="margin:0;background:#f8f8f8">${images.join('')}</body>`);
  await save(both, file, { fullPage: true });
  await both.close();
}

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'],
});
try {
  const page = await browser.newPage({ viewport: { width, height }, colorScheme: 'light' });
  const good = "WorkflowType = 'Backup' AND CanvasbackDatabase = 'shop' AND CanvasbackOutcome = 'verified'";
  const backup = ['Checkpoint', 'Copy', 'Verify', 'Prune'];
  await shootRun(page, await run(good), ['verified', 'by rule'], backup, 'ui-run.png');
  await shootRun(page, await retried(), ['verified', 'the step was begun 2 times'], backup, 'ui-retry.png');
  await shootRun(page, await run("WorkflowType = 'Backup' AND ExecutionStatus = 'Failed'"), ['What to do:'], ['Checkpoint', 'Abandon'], 'ui-failure.png');
  await shootRun(page, await run("WorkflowType = 'Drill' AND ExecutionStatus = 'Completed'"), ['proved'], ['Choose', 'DrillRestore', 'DrillVerify', 'DrillRecord'], 'ui-drill.png');
  await shoot(page, `${pages}/schedules/${encodeURIComponent(await schedule())}`, ['Recent Run', 'Upcoming Run', 'Schedule Specs'], 'ui-schedule.png');
  await shoot(page, `${pages}/workflows`, ['canvasback-host-db1', 'canvasback-drill-shop'], 'ui-runs.png');
} finally {
  await browser.close();
}
