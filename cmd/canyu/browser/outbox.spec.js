import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from '@playwright/test';
import { test, expect, form, rites, receipt, stored } from './site.js';

const api = '**/v1/participations';
const submit = async (page, seat) => {
  await rites(page);
  await page.getByLabel('座号').fill(String(seat));
  await page.getByRole('button', { name: '提交' }).click();
};

test('offline, then online', async ({ page, context, school, counts }) => {
  await page.goto(form(school));
  await rites(page);
  await context.setOffline(true);
  await page.getByLabel('座号').fill('8');
  await page.getByLabel('寄语').fill('永远怀念');
  await page.getByRole('button', { name: '提交' }).click();
  await expect(page.getByRole('heading', { name: '已存在这台设备里' })).toBeVisible();
  await expect(page.getByText('有 1 份提交存在这台设备里，还没有送出')).toBeVisible();
  await expect(page.locator('.receipt')).toBeHidden();
  expect((await counts()).participants.student).toBe(0);
  await context.setOffline(false);
  await receipt(page);
  await expect(page.locator('#outbox')).toBeHidden();
  expect(await stored(page)).not.toContain('永远怀念');
  expect((await counts()).participants.student).toBe(1);
});

test('a storm of 503 and 429, over a reload, never before Retry-After', async ({ page, context, school, counts }) => {
  const tries = [];
  await context.route(api, (route) => {
    tries.push(Date.now());
    if (tries.length > 3) return route.continue();
    const status = tries.length === 2 ? 429 : 503;
    return route.fulfill({ status, headers: { 'Retry-After': '2' }, contentType: 'application/problem+json', body: `{"type":"urn:canyu:problem:busy","status":${status}}` });
  });
  await page.goto(form(school));
  await submit(page, 9);
  await expect.poll(() => tries.length).toBe(1);
  for (let i = 0; i < 3; i++) await page.reload(); // reloading does not hurry it
  await receipt(page);
  expect(tries.length).toBe(4);
  for (let i = 1; i < tries.length; i++) expect(tries[i] - tries[i - 1]).toBeGreaterThan(1950);
  const got = await counts();
  expect(got.participants.student).toBe(1);
});

test('the network goes after the server has counted', async ({ page, context, school, counts }) => {
  let n = 0;
  await context.route(api, async (route) => {
    if (++n > 1) return route.continue();
    await route.fetch(); // it arrives
    return route.abort('connectionreset'); // and nobody hears of it
  });
  await page.goto(form(school));
  await submit(page, 10);
  const first = await receipt(page);
  await expect(page.getByText('10号已经参与过，只计一次。')).toBeVisible();
  const got = await counts();
  expect(got.participants.student).toBe(1);
  await page.reload();
  expect(await receipt(page)).toBe(first);
  await expect.poll(async () => (await counts()).submissions).toBe(1); // the same id: not even a second submission
});

test('the browser is closed and opened again', async ({ site, school, counts }) => {
  const options = { executablePath: process.env.CANYU_CHROMIUM, args: process.getuid() === 0 ? ['--no-sandbox'] : [], baseURL: site.url, locale: 'zh-CN', reducedMotion: 'reduce' };
  const profile = mkdtempSync(join(tmpdir(), 'canyu-profile-'));
  let context = await chromium.launchPersistentContext(profile, options);
  let page = await context.newPage();
  await page.goto(form(school));
  await rites(page);
  await context.setOffline(true);
  await page.getByLabel('座号').fill('11');
  await page.getByRole('button', { name: '提交' }).click();
  await expect(page.getByRole('heading', { name: '已存在这台设备里' })).toBeVisible();
  await context.close();
  expect((await counts()).participants.student).toBe(0);
  context = await chromium.launchPersistentContext(profile, options);
  page = await context.newPage();
  await page.goto(`/a/${site.activities.open}`); // any page of the site
  await expect.poll(async () => (await counts()).participants.student, { timeout: 30_000 }).toBe(1);
  await expect(page.locator('#outbox')).toBeHidden();
  await context.close();
});

test('what is refused later is told in words', async ({ page, context, site, school }) => {
  await page.goto(form(school));
  await page.evaluate(([open, over, school]) => {
    const put = (id, fields) => localStorage.setItem('canyu.out.' + id, JSON.stringify({ at: Date.now() - 60000, s: { activity: open, school, grade: 3, class: 2, role: 'student', steps: [], id, ...fields } }));
    put('a', { seat: 12, activity: over });
    put('b', { seat: 99 });
    put('c', { seat: 13 });
  }, [site.activities.open, site.activities.over, school.code]);
  await page.reload();
  await expect(page.locator('#outbox')).toContainText('12号的提交没有被接受：活动已经结束。');
  await expect(page.locator('#outbox')).toContainText('99号的提交没有被接受：名册里没有这个座号。');
  await expect(page.locator('#outbox p')).toHaveCount(2);
  await page.getByRole('button', { name: '知道了' }).first().click();
  await page.getByRole('button', { name: '知道了' }).first().click();
  await expect(page.locator('#outbox')).toBeHidden();
  await page.reload();
  await expect(page.locator('#outbox')).toBeHidden();
});

test('a page that some proxy puts in between is no answer', async ({ page, context, school, counts }) => {
  let n = 0;
  await context.route(api, (route) => {
    n++;
    if (n === 1) return route.fulfill({ status: 200, contentType: 'text/html', body: '<h1>请登录校园网</h1>' });
    if (n === 2) return route.fulfill({ status: 403, contentType: 'application/json', body: '{"error":"login"}' });
    if (n === 3) return route.fulfill({ status: 200, contentType: 'application/json', body: '{"ok":true}' });
    return route.continue();
  });
  await page.goto(form(school));
  await submit(page, 14);
  await receipt(page);
  expect((await counts()).participants.student).toBe(1);
});

test('without storage, and without randomUUID, it works until the tab is closed', async ({ page, context, school, counts }) => {
  await context.addInitScript(() => {
    Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('forbidden', 'SecurityError'); } });
    Object.defineProperty(window, 'sessionStorage', { get() { throw new DOMException('forbidden', 'SecurityError'); } });
    delete Crypto.prototype.randomUUID;
  });
  let n = 0;
  await context.route(api, (route) => (++n === 1 ? route.abort() : route.continue()));
  await page.goto(form(school));
  await submit(page, 15);
  await receipt(page);
  expect((await counts()).participants.student).toBe(1);
});

test('a name waits in its tab only', async ({ page, context, school }) => {
  await context.route(api, (route) => route.abort());
  await page.goto(form(school, '&role=teacher'));
  await page.getByRole('button', { name: '鞠躬' }).click();
  await page.getByRole('button', { name: '献花' }).click();
  await page.getByLabel('教师姓名').fill('欧阳测试');
  await page.getByRole('button', { name: '提交' }).click();
  await expect(page.getByRole('heading', { name: '还没有送出' })).toBeVisible();
  await expect(page.getByText('它只留在这个页面里，请先不要关闭。')).toBeVisible();
  expect(await page.evaluate(() => JSON.stringify({ ...localStorage }))).not.toContain('欧阳');
  await page.reload();
  await expect(page.locator('#outbox')).toHaveText('有 1 份提交只留在这个页面里，还没有送出；送出前请不要关闭。');
  await page.goto(form(school)); // in the same tab, a pupil without a name
  await submit(page, 16);
  await expect(page.locator('#outbox')).toContainText('有 1 份提交存在这台设备里，还没有送出；网络恢复后自动送出。');
  await expect(page.locator('#outbox')).toContainText('有 1 份提交只留在这个页面里');
});
