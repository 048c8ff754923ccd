import { test, expect, form, receipt, accessible, fits } from './site.js';

const looks = async (page) => {
  await accessible(page);
  for (const width of [320, 375, 1280, 1920, 3840]) {
    await page.setViewportSize({ width, height: 900 });
    await fits(page);
    if (process.env.CANYU_BROWSER_SHOTS) {
      const name = new URL(page.url()).pathname.replace(/\W+/g, '-') + new URL(page.url()).search.replace(/\W+/g, '-');
      await page.screenshot({ path: `${process.env.CANYU_BROWSER_SHOTS}/${test.info().title.split(' ')[0]}${name}-${width}.png`, fullPage: width !== 3840 });
    }
  }
  await page.setViewportSize({ width: 1280, height: 900 });
};

// wrote sends a pupil's message as the page does.
const wrote = async (request, site, school, seat, message) => {
  const reply = await request.post('/v1/participations', { data: {
    activity: site.activities.wall, school: school.code, grade: 3, class: 2, role: 'student', seat, steps: ['bow', 'flower', 'message'], message,
  } });
  expect(reply.status()).toBe(201);
};

// open opens a link in a browser of its own.
const open = async (browser, site, canyu, scope, code) => {
  const context = await browser.newContext({ baseURL: site.url, locale: 'zh-CN' });
  const page = await context.newPage();
  await page.goto((await canyu('link', scope, code, '--activity', site.activities.wall)).match(/\/link\/[\w-]+/)[0]);
  return page;
};

// reads reloads until the page has a text.
const reads = (page, text) => expect(async () => {
  await page.reload();
  await expect(page.locator('body')).toContainText(text, { timeout: 500 });
}).toPass();

test('wall: a pupil writes, a teacher approves, everybody reads', async ({ browser, page, site, school, canyu, counts, request }) => {
  test.setTimeout(600_000);
  const wall = `/a/${site.activities.wall}/wall`;
  await page.goto(form(school, '', site.activities.wall));
  await page.getByRole('button', { name: '鞠躬' }).click();
  await page.getByRole('button', { name: '献花' }).click();
  await page.getByLabel('座号').fill('17');
  await page.getByLabel('寄语', { exact: true }).fill('山河无恙，吾辈自强。\n愿先烈安息！');
  await page.locator('[type=submit]').click();
  await receipt(page);
  await page.getByRole('link', { name: '看看本校同学的留言' }).click();
  await expect(page).toHaveURL(new RegExp(`${wall}.*school=${school.code}`));
  await expect(page.getByRole('heading', { name: '还没有展示的留言' })).toBeVisible();
  await looks(page);
  const more = ['英雄们，你们用生命换来了今天的和平，我们不会忘记。', '铭记历史，缅怀先烈。', '谢谢你们！',
    '今天老师给我们讲了许多英雄的故事。他们有的还没有我哥哥大，就为了国家献出了自己的生命。我要好好学习，长大以后把祖国建设得更加强大，不辜负他们的期望。'];
  for (const [i, text] of more.entries()) await wrote(request, site, school, 20 + i, text);
  await wrote(request, site, school, 30, '想和我交朋友请打 138 0013 8000');
  await wrote(request, site, school, 31, '加我微信');

  // Batch approval. These pages have no script.
  const teacher = await open(browser, site, canyu, 'school', school.code);
  await expect(teacher).toHaveURL(new RegExp(`/school/${school.code}`));
  await teacher.getByRole('link', { name: '留言审核' }).click();
  await reads(teacher, '待审 5');
  await reads(teacher, '需留意 2');
  await expect(teacher.locator('.messages li')).toHaveCount(5);
  expect(await teacher.locator('script').count()).toBe(0);
  await teacher.getByLabel('山河无恙').check();
  await teacher.getByLabel('谢谢你们！').press('Space');
  await looks(teacher);
  await teacher.getByRole('button', { name: '展示所选', exact: true }).click();
  await expect(teacher.getByRole('status')).toHaveText('已展示 2 条。');
  await teacher.getByRole('button', { name: '本页 3 条全部展示' }).click();
  await expect(teacher.getByRole('status')).toHaveText('已展示 3 条。');
  await teacher.getByRole('link', { name: '需留意 2' }).click();
  await expect(teacher.locator('.messages')).toContainText('疑似电话号码');
  await looks(teacher);

  await reads(page, '山河无恙');
  await expect(page.locator('.slips li')).toHaveCount(5);
  await expect(page.locator('.slips')).toContainText(`${school.name} 三年级2班`);
  const text = await page.locator('main').textContent();
  expect(text).not.toContain('138');
  expect(text).not.toContain('17'); // the seat
  await looks(page);
  await page.goto(`${wall}?lang=en`);
  await expect(page.locator('html')).toHaveAttribute('lang', 'en');
  await looks(page);
  await page.goto(`${wall}?lang=zh-Hant&q=第1`);
  await expect(page.locator('ul.schools li').first()).toBeVisible();
  await looks(page);

  // Reported by three, it is off the wall until the teacher has looked again.
  for (const address of ['192.0.2.1', '192.0.2.2', '192.0.2.3']) {
    const visitor = await (await browser.newContext({ baseURL: site.url, locale: 'zh-CN', extraHTTPHeaders: { 'X-Forwarded-For': address } })).newPage();
    await visitor.goto(`${wall}?school=${school.code}`);
    const slip = visitor.locator('.slips li').filter({ hasText: '谢谢你们！' });
    await slip.getByText('举报', { exact: true }).click();
    await slip.getByRole('button', { name: '举报这条留言' }).click();
    await expect(visitor.getByRole('status')).toContainText('已收到举报');
    await visitor.context().close();
  }
  await page.goto(`${wall}?school=${school.code}&reported=1`);
  await expect(page.locator('.slips li')).toHaveCount(4);
  await looks(page);
  await teacher.getByRole('link', { name: /^被举报/ }).click();
  await expect(teacher.locator('.messages li')).toContainText('访客举报：3');
  await looks(teacher);
  await teacher.getByRole('button', { name: '展示', exact: true }).click();
  await reads(page, '谢谢你们！');
  expect((await counts(site.activities.wall)).participants.student).toBe(7);
  await wrote(request, site, school, 40, '又一则');
  await teacher.getByRole('link', { name: '返回' }).click();
  await reads(teacher, '待审留言 3 条');
  await teacher.screenshot({ path: (process.env.CANYU_BROWSER_SHOTS || test.info().outputDir) + '/school.png' });
  await teacher.context().close();
});

test('wall-off: counting goes on and the wall says so', async ({ browser, page, site, canyu, request }) => {
  const bureau = await open(browser, site, canyu, 'bureau', '341821');
  await bureau.goto(`/bureau/341821/messages?activity=${site.activities.wall}`);
  await bureau.getByRole('button', { name: '关闭留言墙' }).click();
  await expect(bureau.getByRole('status')).toContainText('留言墙已关闭');
  await looks(bureau);
  await page.goto(`/a/${site.activities.wall}/wall?school=3418210001`);
  await reads(page, '留言墙暂时关闭');
  await looks(page);
  const before = await (await request.get(`/v1/activities/${site.activities.wall}/counts?school=3418210001`)).json();
  const reply = await request.post('/v1/participations', { data: {
    activity: site.activities.wall, school: '3418210001', grade: 3, class: 1, role: 'student', seat: 9, steps: ['bow', 'flower'], message: '照常参与',
  } });
  expect(reply.status()).toBe(201);
  const after = await (await request.get(`/v1/activities/${site.activities.wall}/counts?school=3418210001`)).json();
  expect(after.participants.student).toBe(before.participants.student + 1);
  await reads(bureau, '照常参与');
  await bureau.getByRole('searchbox').fill('第一小学');
  await bureau.getByRole('searchbox').press('Enter');
  await expect(bureau.locator('.messages li')).toHaveCount(1);
  await bureau.getByRole('button', { name: '重新开放留言墙' }).click();
  await expect(bureau.getByRole('status')).toContainText('重新开放');
  await reads(page, '还没有展示的留言');
  await bureau.context().close();
  await page.goto(`/a/${site.activities.open}/wall`);
  await expect(page.getByRole('heading', { name: '本活动没有留言墙' })).toBeVisible();
});
