import { test, expect, form } from './site.js';

// one pupil: seat, bow, flower, and the seats are back.
const pupil = async (page, seat) => {
  await page.locator(`[data-seat="${seat}"]`).click();
  await page.getByRole('button', { name: '鞠躬' }).click();
  await page.getByRole('button', { name: '献花' }).click();
  await expect(page.locator('#class')).toBeVisible();
};
// pupils do the same as fast as the page lets them.
const pupils = (page, seats) => page.evaluate(async (all) => {
  const until = async (what) => { while (!what()) await new Promise((next) => setTimeout(next, 10)); };
  const go = document.querySelector('#rite .go');
  const scene = document.querySelector('#rite .scene');
  for (const seat of all) {
    document.querySelector(`[data-seat="${seat}"]`).click();
    go.click();
    await until(() => scene.dataset.step === 'flower');
    go.click();
    await until(() => document.getElementById('rite').hidden);
  }
}, seats);
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
const tally = (page, words) => expect(page.locator('#tally')).toHaveText(words);

test('45 seats at one screen, some by keyboard', async ({ page, site, school, counts }) => {
  await page.goto(form(school));
  await page.getByRole('link', { name: '全班用一块屏幕' }).click();
  await tally(page, '本机已提交 0 / 45');
  // By keyboard: Tab to the seats, arrows, Enter.
  await page.locator('[data-seat="1"]').focus();
  await page.keyboard.press('ArrowRight');
  await expect(page.locator('[data-seat="2"]')).toBeFocused();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowUp');
  await page.keyboard.press('Enter');
  await expect(page.locator('.who')).toHaveText('2号');
  await page.keyboard.press('Escape'); // not me
  await expect(page.locator('[data-seat="2"]')).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('button', { name: '鞠躬' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.getByRole('button', { name: '献花' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.locator('#thanked')).toHaveText('2号同学，谢谢你');
  await expect(page.locator('[data-seat="3"]')).toBeFocused(); // the next that is open
  await expect(page.locator('[data-seat="2"]')).toHaveAttribute('aria-label', '2号 已参与');
  await page.locator('[data-seat="2"]').click(); // once is enough
  await expect(page.locator('#thanked')).toContainText('2号已经参与过了');
  for (const seat of [1, 3, 45]) await pupil(page, seat);
  await pupils(page, range(4, 44));
  await tally(page, '45 / 45，全班都参与了');
  await expect(page.locator('.seats .done')).toHaveCount(45);
  expect((await counts()).participants.student).toBe(45);
  await page.reload();
  await tally(page, '45 / 45，全班都参与了');
});

test('a class offline for a while is caught up in one array', async ({ page, context, school, counts }) => {
  const sizes = [];
  await context.route('**/v1/participations', (route) => {
    const body = route.request().postDataJSON();
    sizes.push(Array.isArray(body) ? body.length : 1);
    return route.continue();
  });
  await page.goto(form(school, '&mode=class'));
  await context.setOffline(true);
  await pupils(page, range(1, 20));
  await tally(page, '本机已提交 0 / 45，待送出 20');
  await expect(page.locator('.seats .waiting')).toHaveCount(20);
  await expect(page.locator('#outbox')).toContainText('有 20 份提交存在这台设备里');
  expect((await counts()).participants.student).toBe(0);
  sizes.length = 0;
  await context.setOffline(false);
  await page.reload(); // as after a restart
  await tally(page, '本机已提交 20 / 45');
  expect(Math.max(...sizes)).toBe(20);
  expect((await counts()).participants.student).toBe(20);
});

test('a class link shows who is done, also elsewhere', async ({ page, site, school, canyu }) => {
  const post = async (all) => fetch(site.url + '/v1/participations', { method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(all.map((seat) => ({ activity: site.activities.open, school: school.code, grade: 3, class: 2, role: 'student', seat }))) });
  expect((await post([4, 5])).status).toBe(200);
  await page.goto(form(school, '&mode=class'));
  await tally(page, '本机已提交 0 / 45'); // nobody may ask
  await expect(page.getByText('打开班级链接，可看到全班已参与的座号。')).toBeVisible();
  const printed = await canyu('link', 'class', school.code, '3', '2', '--activity', site.activities.open);
  await page.goto(new URL(printed.match(/\/link\/\S+/)[0], site.url).href);
  expect(page.url()).toContain(school.code);
  await tally(page, '已参与 2 / 45');
  await expect(page.locator('.seats .done')).toHaveText(['4', '5']);
  await expect(page.locator('#left')).toBeHidden(); // nearly all
  await expect(page.getByText('打开班级链接')).toBeHidden();
  expect((await post(range(7, 45))).status).toBe(200);
  await page.reload();
  await tally(page, '已参与 41 / 45');
  await expect(page.locator('#left')).toHaveText('未参与座号：1, 2, 3, 6');
  await pupils(page, [3]);
  await expect(page.locator('#left')).toHaveText('未参与座号：1, 2, 6');
  const plain = await (await page.request.get(page.url())).text(); // without scripts
  expect(plain).toContain('已参与 42 / 45');
  expect(plain).toContain('未参与座号：1, 2, 6');
});

test('messages are asked for where the teacher wants them', async ({ page, school, counts }) => {
  await page.goto(form(school, '&mode=class'));
  await page.getByLabel('请每位同学写寄语').check();
  await page.locator('[data-seat="9"]').click();
  await page.getByRole('button', { name: '鞠躬' }).click();
  await page.getByRole('button', { name: '献花' }).click();
  const sent = page.waitForRequest('**/v1/participations');
  await page.getByLabel('寄语', { exact: true }).fill('永远怀念');
  await page.getByRole('button', { name: '完成' }).click();
  expect((await sent).postDataJSON()).toMatchObject({ seat: 9, message: '永远怀念', steps: ['bow', 'flower', 'message'] });
  await tally(page, '本机已提交 1 / 45');
  expect((await counts()).participants.student).toBe(1);
});
