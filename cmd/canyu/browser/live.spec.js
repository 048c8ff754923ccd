// What a page says while its stream is cut, held back, or shared.
import http from 'node:http';
import net from 'node:net';
import { expect } from './site.js';
import { test, count, live } from './pages.js';

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
