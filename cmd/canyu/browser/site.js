// What browser_test.go has started, for specs: import { test, expect } from './site.js'.
//
//   site.url             a running canyu; site.activities are ids by what they are for
//   school               {code, name} of a school of the test's own: nobody else counts there.
//                        Its classes are 1 and 2 of grades 3 and 5, with 45 pupils each
//   counts(activity)     the server's counts of that school
//   site.far             {url, link, activity}: another, on Redis and ClickHouse, and the link of its school
//   redis('kill')        of that one; redis('start') starts it again
//   canyu('link', …)     runs a command with the site's configuration; what it printed
import { test as base, expect } from '@playwright/test';
import AxeBuilder from '@axe-core/playwright';

const site = JSON.parse(process.env.CANYU_BROWSER_SITE || '{}');
if (!site.url) throw new Error('the specs need what browser_test.go starts: run go test ./cmd/canyu -run Browser');

const control = async (path, body) => {
  const reply = await fetch(site.control + path, { method: 'POST', body: JSON.stringify(body ?? null) });
  const text = await reply.text();
  if (!reply.ok) throw new Error(`${path}: ${text}`);
  return JSON.parse(text);
};

export const test = base.extend({
  // Steps take seconds where motion is not reduced.
  contextOptions: async ({ contextOptions }, use) => use({ reducedMotion: 'reduce', ...contextOptions }),
  site: [async ({}, use) => use(site), { scope: 'worker' }],
  baseURL: async ({}, use) => use(site.url),
  school: async ({}, use) => use(await control('/school')),
  counts: async ({ school }, use) => use(async (activity = site.activities.open) => {
    const reply = await fetch(`${site.url}/v1/activities/${activity}/counts?school=${school.code}`);
    expect(reply.status).toBe(200);
    return reply.json();
  }),
  redis: [async ({}, use) => use((what) => control(`/redis/${what}`)), { scope: 'worker' }],
  canyu: [async ({}, use) => use((...args) => control('/canyu', args)), { scope: 'worker' }],
});

// form is the address of the form of a class.
export const form = (school, more = '', activity = site.activities.open) =>
  `/a/${activity}?school=${school.code}&grade=3&class=2${more}`;

// rites does the steps of the form.
export const rites = async (page) => {
  await page.getByRole('button', { name: '鞠躬' }).click();
  await page.getByRole('button', { name: '献花' }).click();
  await expect(page.getByLabel('座号')).toBeFocused();
};

// receipt is the one that is shown.
export const receipt = async (page) => {
  await expect(page.locator('.receipt')).toHaveText(/^[0-9A-Z]{4}-[0-9A-Z]{4}$/);
  return page.locator('.receipt').textContent();
};

// stored is what the browser has kept, as text.
export const stored = (page) => page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));

const all = { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] };

// colours is all that a scheme changes.
export const colours = { type: 'rule', values: ['color-contrast', 'link-in-text-block'] };

// accessible fails on every violation of WCAG 2.2 A and AA that axe can see, or of some
// of its rules.
export const accessible = async (page, runOnly = all) => {
  const { violations } = await new AxeBuilder({ page }).options({ runOnly }).analyze();
  expect(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' ')}`)).toEqual([]);
};

// fits fails where the page is wider than the window.
export const fits = async (page) => {
  const [page_, window_] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  expect(page_, 'width of the page').toBeLessThanOrEqual(window_);
};

export { expect };
