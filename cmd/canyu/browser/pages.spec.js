import http from 'node:http';
import net from 'node:net';
import { test as base, expect, accessible, colours, fits } from './site.js';

const county = '341802';

// enter makes a context hold the link that a command prints.
const enter = async (context, site, canyu, ...scope) => {
  const out = await canyu('link', ...scope);
  const page = await context.newPage();
  await page.goto(site.url + out.match(/\/link\/[\w-]+/)[0]);
  await page.close();
};

const test = base.extend({
  // take posts a participation of a seat of the test's school.
  take: async ({ site, school }, use) => use(async (grade, number, seat, more = {}) => {
    const reply = await fetch(site.url + '/v1/participations', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ activity: site.activities.open, school: school.code, grade, class: number, role: 'student', seat, steps: ['bow', 'flower'], ...more }),
    });
    expect(reply.status).toBeLessThan(300);
    return reply.json();
  }),
  // at is the school's page, for whoever holds the school's link.
  at: async ({ context, site, school, canyu }, use) => {
    await enter(context, site, canyu, 'school', school.code);
    await use(`/school/${school.code}?activity=${site.activities.open}`);
  },
});

const count = (page) => page.locator('#count');
const live = (page) => expect(page.locator('#pill')).toHaveAttribute('data-is', 'live');

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

// wire is the server by way of a cable that can be cut.
const wire = async (site) => {
  const { hostname, port } = new URL(site.url);
  const sockets = new Set();
  let cut = false;
  const server = net.createServer((near) => {
    if (cut) return near.destroy();
    const far = net.connect(port, hostname);
    for (const [a, b] of [[near, far], [far, near]]) {
      sockets.add(a);
      a.pipe(b);
      a.on('error', () => {});
      a.on('close', () => { b.destroy(); sockets.delete(a); });
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut: (yes) => { cut = yes; if (yes) sockets.forEach((s) => s.destroy()); },
    close: () => { sockets.forEach((s) => s.destroy()); server.close(); },
  };
};

test('a stream that is cut, and back', async ({ page, site, at, take }) => {
  const cable = await wire(site);
  await take(3, 2, 1);
  await page.goto(cable.url + at);
  await live(page);
  await expect(count(page)).toHaveText('1');
  cable.cut(true);
  await expect(page.locator('#banner')).toContainText('未连接，数字停在');
  await expect(page.locator('#pill')).toHaveAttribute('data-is', 'off');
  await expect(page.locator('body')).toHaveClass(/stale/);
  await take(3, 2, 2);
  await expect(count(page)).toHaveText('1'); // marked, not zero and not gone
  cable.cut(false);
  await expect(count(page)).toHaveText('2', { timeout: 40_000 });
  await live(page);
  await expect(page.locator('#banner')).toBeHidden();
  cable.close();
});

// proxy is the server by way of one that does to streams what it is told: pass them on,
// refuse them, or hold them back, as one that collects answers does.
const proxy = async (site) => {
  const way = { streams: 'pass' };
  const held = [];
  const server = http.createServer((near, reply) => {
    const stream = near.url.includes('/live?');
    if (stream && way.streams === 'refuse') return reply.writeHead(502).end();
    const far = http.request(site.url + near.url, { method: near.method, headers: near.headers }, (answer) => {
      reply.writeHead(answer.statusCode, answer.headers);
      if (stream && near.method === 'GET' && way.streams === 'hold') {
        reply.flushHeaders();
        held.push(() => answer.pipe(reply));
      } else answer.pipe(reply);
    });
    far.on('error', () => reply.destroy());
    reply.on('close', () => far.destroy());
    near.pipe(far);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return Object.assign(way, {
    url: `http://127.0.0.1:${server.address().port}`,
    release: () => held.splice(0).forEach((pass) => pass()), // and what has gathered is old by now
    close: () => { server.closeAllConnections(); server.close(); },
  });
};

for (const streams of ['hold', 'refuse']) {
  test(`a proxy that does not pass the stream on (${streams}): counts are asked for, and that is said`, async ({ page, site, at, take }) => {
    const between = await proxy(site);
    between.streams = streams;
    await take(3, 2, 1);
    await page.clock.install();
    const asked = [];
    page.on('request', (r) => r.url().includes('/counts?') && asked.push(r.url()));
    await page.goto(between.url + at);
    const pass = async (seconds, until = async () => false) => { // the page's time; answers take real time
      for (let i = 0; i < seconds && !(await until()); i++) {
        await page.clock.runFor(1000);
        await page.waitForTimeout(40);
      }
    };
    const pill = page.locator('#pill');
    const polled = async () => (await pill.textContent()).includes('非实时，约每 20 秒更新一次');
    await pass(15, polled);
    await expect(pill).toHaveText('非实时，约每 20 秒更新一次');
    await expect(pill).toHaveAttribute('data-is', 'still');
    await expect(page.locator('body')).not.toHaveClass(/stale/);
    await take(3, 2, 2);
    asked.length = 0;
    let lost = 0; // a stream that is tried again in vain changes nothing
    await pass(120, async () => { if (!(await polled()) || await page.locator('#banner').isVisible()) lost++; });
    await expect(count(page)).toHaveText('2');
    expect(lost).toBe(0);
    expect(asked.length).toBeGreaterThanOrEqual(4);
    expect(asked.length).toBeLessThanOrEqual(8);

    await page.evaluate(() => Object.defineProperty(document, 'hidden', { value: true, configurable: true })); // nobody looks
    asked.length = 0;
    await pass(60);
    expect(asked).toEqual([]);
    await page.evaluate(() => delete document.hidden);
    await pass(3, polled);
    await expect(pill).toHaveText('非实时，约每 20 秒更新一次');

    between.streams = 'pass';
    await pass(90, async () => await pill.getAttribute('data-is') === 'live');
    await live(page);
    await expect(pill).toHaveText('实时');
    await take(3, 2, 3);
    await expect(count(page)).toHaveText('3');
    asked.length = 0;
    await pass(22); // the stream beats in real time
    expect(asked).toEqual([]);
    between.close();
  });
}

test('what a proxy lets go late is older than what was asked for, and is not shown', async ({ page, site, at, take }) => {
  const between = await proxy(site);
  between.streams = 'hold';
  await take(3, 2, 1);
  await page.goto(between.url + at);
  await page.waitForTimeout(2000); // as_of has no fractions
  await take(3, 2, 2);
  await expect(page.locator('#pill')).toContainText('约每 20 秒');
  await expect(count(page)).toHaveText('2');
  const seen = page.evaluate(() => new Promise((resolve) => {
    const all = [];
    new MutationObserver(() => all.push(document.getElementById('count').textContent)).observe(document.getElementById('count'), { childList: true, subtree: true });
    setTimeout(() => resolve(all), 3000);
  }));
  between.release();
  expect(await seen).toEqual([]);
  await live(page); // by the next beat
  between.close();
});

test('a ledger that is away is said, and its numbers stay', async ({ page, at, take, counts }) => {
  await take(3, 1, 1);
  const told = await counts();
  await page.addInitScript(() => {
    window.EventSource = class extends EventTarget { // says what the test says
      constructor() {
        super();
        window.say = (data, kind = 'message') => {
          const event = new MessageEvent(kind, { data: JSON.stringify(data) });
          if (kind === 'message') this.onmessage(event);
          else this.dispatchEvent(event);
        };
      }

      close() {}
    };
  });
  const banner = page.locator('#banner');
  const say = (more, kind) => page.evaluate(([data, k]) => window.say(data, k), [{ ...told, every: 1, now: told.as_of, ...more }, kind]);
  await page.goto(at);
  await page.waitForFunction(() => window.say);
  await say({ live: true, state: 'live' });
  await live(page);
  await expect(banner).toBeHidden();
  await say({ live: false, state: 'away' }, 'beat');
  await expect(banner).toHaveText(`计数服务暂时中断，数字停在 ${told.as_of.slice(11, 19)}，不会丢失。恢复后自动更新。`);
  await expect(page.locator('body')).toHaveClass(/stale/);
  await say({ live: false, state: 'away', participants: null, required: undefined, as_of: null }); // as after a restart
  await expect(count(page)).toHaveText('1');
  await say({ live: false, state: 'spooled' });
  await expect(banner).toContainText('部分提交已收到，稍后计入');
  await say({ live: true, state: 'live' });
  await expect(banner).toBeHidden();
});

test('Redis is killed: the page says so, and goes on when it is back', async ({ page, site: { far }, redis }) => {
  const take = async (seat) => (await fetch(`${far.url}/v1/participations`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ activity: far.activity, school: '3418020001', grade: 3, class: 2, role: 'student', seat, steps: ['bow'] }),
  })).status;
  expect([201, 202]).toContain(await take(1)); // a busy Redis may take it a moment later
  await page.goto(far.url + far.link);
  await live(page);
  await expect(count(page)).toHaveText('1');
  await redis('kill');
  await expect(page.locator('#banner')).toContainText('计数服务暂时中断，数字停在');
  await expect(count(page)).toHaveText('1');
  expect(await take(2)).toBe(202);
  await redis('start');
  await live(page);
  await expect(page.locator('#banner')).toBeHidden();
  await expect(count(page)).toHaveText('2');
});

for (const locks of [true, false]) {
  test(`two tabs, one stream, ${locks ? 'by locks' : 'by notes'}`, async ({ context, site, at, take }) => {
    if (!locks) await context.addInitScript(() => Object.defineProperty(navigator, 'locks', { value: undefined }));
    const streams = [];
    context.on('request', (r) => r.method() === 'GET' && r.url().includes('/live?') && streams.push(r.frame().page()));
    const first = await context.newPage();
    await first.goto(at);
    await live(first);
    const second = await context.newPage();
    await second.goto(at);
    await live(second);
    await take(3, 1, 1);
    await expect(count(first)).toHaveText('1');
    await expect(count(second)).toHaveText('1');
    expect(streams).toEqual([first]);
    await first.close();
    await take(3, 1, 2);
    await expect(count(second)).toHaveText('2', { timeout: 20_000 });
    expect(streams).toEqual([first, second]);
  });
}

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
