import { expect, accessible, colours, fits } from './site.js';
import { test, enter, count, live } from './pages.js';

const county = '341802';

test('the page says what the ledger says, while it changes', async ({ page, at, take, counts }) => {
  test.setTimeout(300_000); // a busy machine's archive takes its time
  await take(3, 1, 1);
  await page.goto(at);
  await live(page);
  await expect(count(page)).toHaveText('1');
  await Promise.all(Array.from({ length: 44 }, (_, i) => take(3, 1, i + 2)));
  await Promise.all([take(5, 2, 7), take(5, 2, 7), take(5, 2, 7, { role: 'parent', name: '家长' })]);
  await expect(count(page)).toHaveText('46');
  const told = await counts();
  expect(told.required).toMatchObject({ count: 46, enrolled: 180 });
  await expect(page.locator('#of')).toHaveText('180');
  await expect(page.locator('#rate')).toHaveText('25.5%'); // cut, not rounded
  await expect(page.locator('#sentence')).toHaveText('还有 134 人未参与。学生自愿参加。');
  await expect(page.locator('[data-fact=parent]')).toHaveText('1');
  await expect(page.locator('[data-fact=complete]')).toHaveText('1');
  for (const c of told.classes) {
    const tile = page.locator(`[data-tile="${c.grade}.${c.class}"]`);
    await expect(tile.locator('.n')).toHaveText(`${c.participants.student}/${c.enrolled}`);
  }
  await expect(page.locator('[data-tile="3.1"]')).toHaveClass(/l4/);
  await expect(page.locator('[data-tile="3.2"]')).toHaveClass(/l0/);
  // What the archive knows follows within seconds, without a reload.
  await expect(page.locator('[data-fact=today]')).toHaveText('46');
  await expect(page.locator('#curve')).toContainText('当日新增学生 46 人', { timeout: 90_000 });
  const drawn = await page.content();
  await page.reload();
  await expect(count(page)).toHaveText('46');
  expect(drawn).not.toContain('pageerror');
});

test('seats of a class, by mouse and by keyboard, live', async ({ page, at, take }) => {
  await take(5, 1, 3);
  await page.goto(at);
  await live(page);
  await page.locator('[data-tile="5.1"]').focus();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: '五年级1班：座号' })).toBeFocused();
  await expect(page.locator('.grid .done')).toHaveCount(1);
  await expect(page).toHaveURL(/class=1&grade=5/);
  await take(5, 1, 4);
  await expect(page.locator('.grid .done')).toHaveCount(2);
  await expect(page.locator('#seats')).toContainText('已参与 2 人，未参与 43 人');
  await page.getByRole('link', { name: '收起' }).click();
  await expect(page.locator('#seats')).toBeHidden();
  await page.goBack();
  await expect(page.locator('#seats')).toBeVisible();
  expect(await page.content()).not.toContain('undefined');
});

test('seats by keyboard: closed by Escape, and the focus stays where it was', async ({ page, at, take }) => {
  await take(5, 1, 3);
  await page.goto(at);
  await live(page);
  const tile = page.locator('[data-tile="5.1"]');
  const close = page.getByRole('link', { name: '收起' });
  for (const way of ['Escape', 'Enter']) {
    await tile.focus();
    await page.keyboard.press('Enter');
    await expect(page.getByRole('heading', { name: '五年级1班：座号' })).toBeFocused();
    await page.keyboard.press('Tab');
    await expect(close).toBeFocused();
    if (way === 'Enter') { // numbers that come do not take the focus away
      await take(5, 1, 4);
      await expect(page.locator('.grid .done')).toHaveCount(2);
      await expect(close).toBeFocused();
    }
    await page.keyboard.press(way);
    await expect(page.locator('#seats')).toBeHidden();
    await expect(tile).toBeFocused();
    await expect(page).not.toHaveURL(/class=/);
  }
});

test('seats on a slow network: the class is marked at once, and the last one counts', async ({ page, at }) => {
  await page.goto(at);
  await live(page);
  let release = () => {};
  const held = new Promise((resolve) => { release = resolve; });
  await page.route(/class=1&grade=5&part=seats/, async (route) => { await held; await route.continue(); });
  await page.locator('[data-tile="5.1"]').click();
  await expect(page.locator('[data-tile="5.1"]')).toHaveAttribute('aria-current', 'true');
  await page.locator('[data-tile="3.2"]').click();
  await expect(page.getByRole('heading', { name: '三年级2班：座号' })).toBeFocused();
  const late = page.waitForResponse(/class=1&grade=5&part=seats/);
  release();
  await late;
  await expect(page.locator('[data-tile="3.2"]')).toHaveAttribute('aria-current', 'true');
  await expect(page.locator('#seats h2')).toHaveText('三年级2班：座号');
  await expect(page).toHaveURL(/class=2&grade=3/);
});

test('a bureau on a telephone: its table stays where it was scrolled to, and follows under the focus', async ({ context, page, site, canyu, school, take }) => {
  await enter(context, site, canyu, 'bureau', '341800');
  await page.setViewportSize({ width: 375, height: 740 });
  await page.goto(`/bureau/341800?activity=${site.activities.open}&by=school&q=${school.code}`); // a city's stream tells of its counties
  await live(page);
  const link = page.locator(`[data-row="${school.code}"] a`);
  await page.locator('#rows .scroll').evaluate((e) => { e.scrollLeft = 60; });
  await link.focus({ preventScroll: true });
  const left = await page.locator('#rows .scroll').evaluate((e) => e.scrollLeft);
  expect(left).toBeGreaterThan(0);
  await take(3, 1, 1);
  await expect(page.locator(`[data-row="${school.code}"] .n`)).toHaveText('1');
  await expect(link).toBeFocused();
  expect(await page.locator('#rows .scroll').evaluate((e) => e.scrollLeft)).toBe(left);
  const box = await link.boundingBox();
  expect(box.height).toBeGreaterThanOrEqual(24); // for a thumb
});

test('languages, and a page without scripts', async ({ browser, context, page, site, at, take }) => {
  await take(3, 1, 1);
  await page.goto(at);
  await page.getByRole('link', { name: '繁體' }).click();
  await expect(page.locator('html')).toHaveAttribute('lang', 'zh-Hant');
  await expect(page.getByRole('heading', { name: '班級' })).toBeVisible();
  await page.getByRole('link', { name: 'English' }).click();
  await expect(page.locator('#sentence')).toHaveText('179 have not taken part. It is voluntary.');
  await page.locator('[data-tile="3.1"]').click();
  await expect(page.getByRole('heading', { name: 'Grade 3, class 1: seats' })).toBeVisible();

  const plain = await browser.newContext({ javaScriptEnabled: false, baseURL: site.url, locale: 'zh-CN', storageState: await context.storageState() });
  const still = await plain.newPage();
  await still.goto(at);
  await expect(count(still)).toHaveText('1');
  await expect(still.locator('#pill')).toHaveText('本页不会自动更新，请刷新查看最新数字。');
  await still.locator('[data-tile="3.1"]').click();
  await expect(still.locator('.grid .done')).toHaveCount(1);
  await plain.close();
});

test('receipts, and what can be taken home', async ({ page, at, take }) => {
  const { receipt } = await take(3, 1, 9);
  await page.goto(at);
  await page.getByLabel('班级', { exact: true }).selectOption('三年级1班');
  await page.getByLabel('回执', { exact: true }).fill(receipt.toLowerCase().replace('-', ' '));
  await page.getByRole('button', { name: '核对' }).click();
  await expect(page.locator('.answer')).toHaveText('回执有效：三年级1班 9 号学生，已计入。');
  for (const [name, ending] of [['各班人数 Excel', '.xlsx'], ['各班人数 CSV', '.csv'], ['全校未参与名单 Excel', '.xlsx']]) {
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('link', { name, exact: true }).click()]);
    expect(file.suggestedFilename()).toMatch(new RegExp(`小学_.*_\\d{4}-\\d\\d-\\d\\d_\\d{4}\\${ending}$`));
  }
});

test('a bureau: sorted, filtered, searched, and down to the school', async ({ context, page, site, canyu, school, take }) => {
  await enter(context, site, canyu, 'bureau', county);
  await take(3, 1, 1);
  await page.goto(`/bureau/${county}?activity=${site.activities.open}`);
  await live(page);
  await page.getByRole('searchbox').fill(school.code);
  await page.getByRole('button', { name: '搜索' }).click();
  await expect(page.locator('tbody tr[data-row]')).toHaveCount(1);
  await expect(page.locator(`[data-row="${school.code}"] .n`)).toHaveText('1');
  await take(3, 1, 2);
  await expect(page.locator(`[data-row="${school.code}"] .n`)).toHaveText('2'); // by the stream
  await page.getByRole('link', { name: '无人参与' }).click();
  await expect(page.locator('#rows')).toContainText('没有符合条件的');
  await page.getByRole('link', { name: '全部' }).click();
  await page.getByRole('link', { name: '参与率' }).click();
  await expect(page.getByRole('columnheader', { name: '参与率' })).toHaveAttribute('aria-sort', 'ascending');
  await page.getByRole('link', { name: '看板' }).click();
  await page.locator(`[data-tile="${school.code}"]`).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText(school.name);
  await page.getByRole('navigation', { name: '上级区划' }).getByRole('link', { name: '宣州区' }).click();
  await expect(page.getByRole('heading', { level: 1 })).toHaveText('宣州区');
});

test('a bureau by keyboard: what is seen first is reached first', async ({ context, page, site, canyu, school }) => {
  await enter(context, site, canyu, 'bureau', '341800');
  for (const width of [1366, 375]) {
    await page.setViewportSize({ width, height: 768 });
    await page.goto(`/bureau/341800?activity=${site.activities.over}&q=${school.code}`);
    await live(page);
    await expect(async () => { // whose days and reports may still be read
      await page.reload();
      await expect(page.locator('#days table')).toBeVisible({ timeout: 2000 });
      await expect(page.locator('.reports a').first()).toBeVisible({ timeout: 2000 });
    }).toPass();
    await page.locator('#main').focus();
    const reached = []; // parts of the page, as Tab reaches them
    for (let i = 0; i < 120; i++) {
      await page.keyboard.press('Tab');
      const at = await page.evaluate(() => {
        const part = document.activeElement.closest('main > *');
        if (!part) return null;
        const { left, right, top, bottom } = part.getBoundingClientRect();
        return { part: part.className, left, right, top: top + scrollY, bottom: bottom + scrollY };
      });
      if (!at) break;
      if (reached.at(-1)?.part !== at.part) reached.push(at);
    }
    expect(reached.map((r) => r.part)).toEqual(expect.arrayContaining(['card rows', 'card days', 'card exports', 'card reports']));
    reached.slice(1).forEach((b, i) => {
      const a = reached[i];
      expect(b.top >= a.bottom || b.left >= a.right && b.top >= a.top, `${a.part}, then ${b.part}`).toBe(true);
    });
  }
});

test('a wall of more schools than it holds turns its pages', async ({ context, page, site, canyu }) => {
  await enter(context, site, canyu, 'bureau', county);
  await page.clock.install();
  await page.goto(`/bureau/${county}?activity=${site.activities.open}&screen=wall`);
  await live(page);
  for (const [first, more] of [['第1小学', '第 1–60 所，共 120 所'], ['第61小学', '第 61–120 所，共 120 所'], ['第1小学', '第 1–60 所，共 120 所']]) {
    await expect(page.locator('#rows .name').first()).toHaveText(first);
    await expect(page.locator('#rows > .hint')).toHaveText(more);
    await page.clock.runFor(20_000);
  }
});

for (const scheme of ['light', 'dark']) {
  test(`looks, ${scheme}`, async ({ context, page, site, canyu, school, at, take }) => {
    test.setTimeout(600_000);
    await enter(context, site, canyu, 'bureau', '340000');
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
    await Promise.all(Array.from({ length: 75 }, (_, i) => (i < 45 ? take(3, 1, i + 1) : take(3, 2, i - 44))));
    await take(5, 1, 1);
    const here = `activity=${site.activities.open}`;
    const faults = [];
    page.on('console', (m) => ['error', 'warning'].includes(m.type()) && !m.text().includes('status of 4') && faults.push(m.text()));
    page.on('pageerror', (e) => faults.push(e.message));
    for (const path of [
      at, at + '&grade=3&class=2', at + '&lang=en&grade=3&class=1', at + '&screen=wall', `/school/${school.code}/not-yet.html?${here}`,
      `/bureau/${county}?${here}`, `/bureau/${county}?${here}&view=board&lang=zh-Hant`, `/bureau/341800?${here}`, `/bureau/341800?${here}&lang=en`,
      `/bureau/341800?${here}&screen=wall`, `/bureau/${county}?${here}&screen=wall`, `/bureau/340000?${here}`, '/bureau/100000', '/school/1',
    ]) {
      await page.setViewportSize({ width: 1280, height: 800 });
      await page.goto(path);
      if (path.includes(here)) await expect(page.locator('#pill, .sheet')).toBeVisible();
      const again = scheme === 'dark' && !path.includes('wall'); // only its colours differ
      await accessible(page, again ? colours : undefined);
      if (again) continue;
      for (const width of path.includes('wall') ? [1920] : [320, 375, 1920]) {
        await page.setViewportSize({ width, height: 1080 });
        await fits(page);
      }
      if (path.includes('wall')) {
        const [page_, window_] = await page.evaluate(() => [document.documentElement.scrollHeight, window.innerHeight]);
        expect(page_, path).toBeLessThanOrEqual(window_);
      }
    }
    expect(faults).toEqual([]);
  });
}
