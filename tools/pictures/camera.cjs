// Opens dashboards in Chromium and takes a picture of each. Told what to do by one JSON object on standard input, since
// arguments and environments of processes can be read by others; says what it did by a line of JSON for each dashboard.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

// How the versions of Grafana mark what a panel is (9 and 10; 11 and newer) and how it is doing.
const PANEL = '[data-viz-panel-key], [data-panelid]';
const LOADING = [
  '.panel-loading', // 9
  '[aria-label="Panel loading bar"]', // 9.4 and newer
  '[data-testid="data-testid Panel loading bar"]',
  '.panel-loading-bar',
  '[data-testid="Spinner"]',
  '.preloader',
  '.dashboard-loading',
].join(', ');
const FAILED = [
  '.panel-info-corner--error', // 9
  '[aria-label="Panel status error"]', // 9.4
  '[data-testid="data-testid Panel status error"]', // 10 and newer
  '[data-testid="data-testid Alert error"]',
].join(', ');
const QUIET = 1000; // Milliseconds without a word from a datasource, after which nothing more is expected.
const ROW = 38; // Pixels of a row of the grid, with the gap below it.

async function main() {
  const order = JSON.parse(fs.readFileSync(0, 'utf8'));
  const {chromium} = require(path.join(order.modules, 'playwright-core'));
  const browser = await chromium.launch({
    executablePath: order.chromium,
    // Chromium's own sandbox does not work for root.
    chromiumSandbox: process.getuid() !== 0,
    args: ['--disable-gpu', '--font-render-hinting=none'],
  });
  try {
    const context = await browser.newContext({
      viewport: {width: order.width, height: 1000},
      reducedMotion: 'reduce',
      locale: 'en-US', // Its words for no data are looked for.
    });
    await context.addCookies(order.cookies);
    if (order.token) {
      const own = (url) => url.href.startsWith(`${order.url}/`);
      await context.route(own, (route) =>
        route.continue({headers: {...route.request().headers(), authorization: `Bearer ${order.token}`}})
      );
    }
    for (const dashboard of order.dashboards) {
      say(await photograph(context, order, dashboard));
    }
  } finally {
    await browser.close();
  }
}

// One dashboard: {uid, empty, failed, loading, error}, and the file where there is something to see.
async function photograph(context, order, dashboard) {
  const done = {uid: dashboard.uid, empty: [], failed: {}, loading: [], error: ''};
  const page = await context.newPage();
  const questions = watch(page);
  const deadline = Date.now() + order.wait * 1000;
  try {
    await page.setViewportSize({width: order.width, height: Math.max(600, dashboard.rows * ROW + 200)});
    const answer = await page.goto(dashboard.url, {waitUntil: 'domcontentloaded', timeout: order.wait * 1000});
    if (!answer.ok()) throw new Error(`Grafana answers ${answer.status()}`);
    if (/\/login([?/]|$)/.test(page.url())) throw new Error('Grafana asks for a login: the account may not see it');
    await settle(page, questions, deadline, dashboard.panels > 0);
    // Rows that repeat make it longer than its grid says.
    const bottom = await page.evaluate(lowest, PANEL);
    await page.setViewportSize({width: order.width, height: Math.ceil(Math.max(200, bottom + 16))});
    const settled = await settle(page, questions, deadline, dashboard.panels > 0);
    const seen = await page.evaluate(look, {panel: PANEL, loading: LOADING, failed: FAILED});
    const title = (id) => dashboard.titles[id] ?? `panel ${id}`;
    done.empty = unique(seen.filter((each) => each.empty && !each.failed).map((each) => title(each.id)));
    if (!settled) done.loading = unique(seen.filter((each) => each.loading).map((each) => title(each.id)));
    if (!settled && !done.loading.length) done.error = `it was not there within ${order.wait} s`;
    for (const each of seen.filter((one) => one.failed)) done.failed[title(each.id)] = each.failed;
    for (const [id, words] of questions.refused) done.failed[title(id)] = words;
    await page.screenshot({path: path.join(order.out, `${dashboard.uid}.png`), animations: 'disabled'});
  } catch (error) {
    done.error = error.message.split('\n')[0];
  } finally {
    await page.close();
  }
  return done;
}

// The page's questions to Grafana's API: how many are open, since when nothing happened, and which panel's were refused.
function watch(page) {
  const seen = {open: new Set(), last: Date.now(), refused: new Map()};
  // What stays open by its nature is none of them.
  const counts = (request) => /\/api\/|\/apis\//.test(request.url()) && !/\/api\/live\//.test(request.url());
  const over = (request) => {
    if (seen.open.delete(request)) seen.last = Date.now();
  };
  page.on('request', (request) => {
    if (counts(request)) {
      seen.open.add(request);
      seen.last = Date.now();
    }
  });
  page.on('requestfailed', over);
  page.on('requestfinished', over);
  page.on('response', async (response) => {
    const id = response.request().headers()['x-panel-id'];
    if (!id) return;
    if (response.ok()) seen.refused.delete(id);
    else seen.refused.set(id, words(await response.text().catch(() => ''), response.status()));
  });
  return seen;
}

// What a refusal says, in one line.
function words(body, status) {
  try {
    const said = JSON.parse(body);
    const results = Object.values(said.results ?? {});
    return (results.find((each) => each.error)?.error ?? said.message ?? `status ${status}`).split('\n')[0];
  } catch {
    return `status ${status}`;
  }
}

// Waits until panels are there and at rest; false when the deadline came first.
async function settle(page, questions, deadline, expected) {
  const began = Date.now();
  while (Date.now() < deadline) {
    const {panels, loading} = await page.evaluate(
      ({panel, busy}) => ({
        panels: document.querySelectorAll(panel).length,
        loading: document.querySelectorAll(busy).length,
      }),
      {panel: PANEL, busy: LOADING}
    );
    const quiet = Date.now() - Math.max(began, questions.last);
    if ((panels > 0 || !expected) && loading === 0 && questions.open.size === 0 && quiet >= QUIET) return true;
    await page.waitForTimeout(100);
  }
  return false;
}

// In the page: the lowest edge of a panel, on the whole page.
function lowest(panel) {
  const edges = [...document.querySelectorAll(panel)].map((each) => each.getBoundingClientRect().bottom);
  return Math.max(0, ...edges) + window.scrollY;
}

// In the page: what each panel shows.
function look({panel, loading, failed}) {
  return [...document.querySelectorAll(panel)].map((each) => {
    const key = each.getAttribute('data-viz-panel-key') ?? each.getAttribute('data-panelid');
    const mark = each.matches(failed) ? each : each.querySelector(failed);
    const lines = each.innerText.split('\n').map((line) => line.trim());
    return {
      id: (key.match(/\d+/) ?? [''])[0],
      empty: lines.some((line) => line === 'No data' || line === 'No logs found.'),
      loading: each.querySelector(loading) !== null,
      failed: mark && (mark.innerText.trim().split('\n')[0] || mark.getAttribute('title') || 'it shows an error'),
    };
  });
}

const unique = (values) => [...new Set(values)];
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

main().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
