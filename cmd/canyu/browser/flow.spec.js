import { test, expect, form, rites, receipt, stored } from './site.js';

const submit = (page) => page.getByRole('button', { name: '提交' }).click();

test('the whole flow, with its motion', async ({ browser, site, school, counts }) => {
  const context = await browser.newContext({ baseURL: site.url, locale: 'zh-CN', reducedMotion: 'no-preference' });
  const page = await context.newPage();
  await page.goto(`/a/${site.activities.open}`);
  await page.getByRole('searchbox').fill(school.code); // type-ahead
  await page.getByRole('searchbox').press('Home');
  await expect(page.locator('#found a')).toHaveCount(1);
  await page.getByRole('searchbox').press('ArrowDown');
  await expect(page.locator('#found a')).toBeFocused();
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: '2班' }).first().click();
  await expect(page.getByText(`${school.name} · 三年级2班`)).toBeVisible();
  const bow = page.getByRole('button', { name: '鞠躬' });
  await bow.click();
  await bow.click({ force: true }); // twice is once
  await expect(page.locator('.scene')).toHaveClass(/acting/);
  const flower = page.getByRole('button', { name: '献花' });
  await expect(flower).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.getByLabel('座号')).toBeFocused();
  await page.keyboard.type('17');
  await page.getByLabel('寄语').fill('山河无恙');
  await page.getByLabel('座号').press('Enter');
  await expect(page.getByRole('heading', { name: '感谢你的参与' })).toBeFocused();
  await expect(page.getByText('你是第')).toBeVisible();
  await expect(page.getByText('加上你，全校已有 1 位同学参与')).toBeVisible();
  await expect(page.getByText('三年级2班 · 17号')).toBeVisible();
  await receipt(page);
  await page.getByLabel('写上名字').fill('李小明');
  await expect(page.locator('.card-name')).toHaveText('李小明');
  expect(await stored(page)).not.toMatch(/李小明|山河无恙/);
  expect((await counts()).participants.student).toBe(1);
  await context.close();
});

test('the whole flow without JavaScript', async ({ browser, site, school, counts }) => {
  const context = await browser.newContext({ javaScriptEnabled: false, baseURL: site.url, locale: 'zh-CN' });
  const page = await context.newPage();
  await page.goto(`/a/${site.activities.open}`);
  await page.getByRole('link', { name: '宣州区' }).click();
  await page.getByRole('searchbox').fill(school.code);
  await page.getByRole('button', { name: '搜索' }).click();
  await page.locator('#found a').click();
  await page.getByRole('link', { name: '2班' }).first().click();
  await page.getByRole('checkbox', { name: '鞠躬' }).check();
  await page.getByRole('checkbox', { name: '献花' }).check();
  await page.getByLabel('座号').fill('99');
  await submit(page);
  await expect(page.getByText('座号应在 1 到 45 之间。')).toBeVisible();
  await page.getByLabel('座号').fill('17');
  await submit(page);
  await expect(page.getByRole('heading', { name: '感谢你的参与' })).toBeVisible();
  await expect(page.getByText('加上你，全校已有 1 位同学参与')).toBeVisible();
  const first = await receipt(page);
  await page.reload(); // the form once more
  await expect(page.getByText('17号已经参与过，只计一次。')).toBeVisible();
  expect(await receipt(page)).toBe(first);
  // A class at one screen works too: each seat is a link.
  await page.goto(form(school, '&mode=class'));
  await page.getByRole('link', { name: '18', exact: true }).click();
  await expect(page.getByLabel('座号')).toHaveValue('18');
  await page.getByRole('checkbox', { name: '鞠躬' }).check();
  await page.getByRole('checkbox', { name: '献花' }).check();
  await submit(page);
  await page.getByRole('link', { name: '本班下一位' }).click();
  await expect(page.getByRole('heading', { name: '请点自己的座号' })).toBeVisible();
  const got = await counts();
  expect(got.participants.student).toBe(2);
  await context.close();
});

test('F5 at every step, and back', async ({ page, school, counts }) => {
  await page.goto(form(school));
  await page.reload();
  await page.getByRole('button', { name: '鞠躬' }).click();
  await expect(page.getByRole('button', { name: '献花' })).toBeVisible();
  await page.reload();
  await page.getByRole('button', { name: '献花' }).click();
  await expect(page.getByLabel('座号')).toBeVisible();
  await page.reload();
  await expect(page.getByLabel('座号')).toBeVisible();
  await page.goBack();
  await page.getByRole('button', { name: '献花' }).click();
  await page.getByLabel('座号').fill('5');
  await page.getByLabel('寄语').fill('永远怀念');
  await page.reload();
  await expect(page.getByLabel('座号')).toHaveValue('5');
  await expect(page.getByLabel('寄语')).toHaveValue('永远怀念');
  await submit(page);
  const first = await receipt(page);
  await page.reload();
  expect(await receipt(page)).toBe(first);
  await page.goBack();
  expect(await receipt(page)).toBe(first);
  expect((await counts()).participants.student).toBe(1);
  await page.getByRole('link', { name: '本班下一位' }).click();
  await rites(page);
  await expect(page.getByLabel('座号')).toHaveValue('');
});

test('double click, and the same seat in two tabs', async ({ page, context, site, school, counts }) => {
  let posts = 0;
  await context.route('**/v1/participations', (route) => {
    posts++;
    return route.continue();
  });
  await page.goto(form(school));
  await rites(page);
  await page.getByLabel('座号').fill('6');
  await page.getByRole('button', { name: '提交' }).dblclick();
  const first = await receipt(page);
  expect(posts).toBe(1);
  const other = await context.newPage();
  await other.goto(form(school));
  await rites(other);
  await other.getByLabel('座号').fill('６');
  await submit(other);
  await expect(other.getByText('6号已经参与过，只计一次。如果不是你提交的，请检查座号。')).toBeVisible();
  await expect(other.getByText('三年级2班 · 6号')).toBeVisible(); // so a slip is seen
  expect(await receipt(other)).toBe(first);
  await other.reload();
  await expect(other.getByText('三年级2班 · 6号')).toBeVisible();
  await expect(other.getByText('加上你')).toBeHidden();
  expect((await counts()).participants.student).toBe(1);
});

test('a wrong seat is told next to the field', async ({ page, school, counts }) => {
  await page.goto(form(school));
  await rites(page);
  for (const [seat, words] of [['46', '座号应在 1 到 45 之间。'], ['0', '座号应在 1 到 45 之间。'], ['十', '座号应在 1 到 45 之间。'], ['', '请填写座号。']]) {
    await page.getByLabel('座号').fill(seat);
    await submit(page);
    await expect(page.locator('#error-seat')).toHaveText(words);
    await expect(page.getByLabel('座号')).toBeFocused();
  }
  // What only the server can know comes back as a page, with all that was typed.
  await page.evaluate(() => { document.getElementById('seat').dataset.max = '99'; });
  await page.getByLabel('座号').fill('77');
  await page.getByLabel('寄语').fill('永远怀念');
  await submit(page);
  await expect(page.locator('#error-seat')).toHaveText('座号应在 1 到 45 之间。');
  await expect(page.getByLabel('座号')).toHaveValue('77');
  await expect(page.getByLabel('寄语')).toHaveValue('永远怀念');
  expect((await counts()).participants.student).toBe(0);
  await page.getByLabel('座号').fill('１７');
  await submit(page);
  await receipt(page);
  expect((await counts()).participants.student).toBe(1);
});

test('parents, and an activity that knows pupils by name', async ({ page, site, school, counts }) => {
  await page.goto(form(school, '&role=parent'));
  await page.getByRole('button', { name: '鞠躬' }).click();
  await page.getByRole('button', { name: '献花' }).click();
  await page.getByLabel('孩子的座号').fill('5');
  await submit(page);
  await expect(page.locator('#error-name')).toHaveText('请填写姓名。');
  await page.getByLabel('家长姓名').fill('欧阳测试');
  await submit(page);
  await expect(page.getByText('加上你，全校已有 1 位家长参与')).toBeVisible();
  expect(await stored(page)).not.toContain('欧阳');
  expect((await counts()).participants).toEqual({ parent: 1, student: 0, teacher: 0 });
  await page.goto(form(school, '', site.activities.byName));
  await expect(page.getByRole('link', { name: '全班用一块屏幕' })).toHaveCount(0);
  await page.getByRole('button', { name: '鞠躬' }).click();
  await page.getByRole('button', { name: '献花' }).click();
  await page.getByLabel('姓名').fill('张　伟');
  await submit(page);
  await receipt(page);
  expect((await counts(site.activities.byName)).participants.student).toBe(1);
});

test('not open yet, over, and over while the page was open', async ({ page, site, school, counts }) => {
  await page.goto(form(school, '', site.activities.later));
  await expect(page.getByRole('heading', { name: '活动尚未开始' })).toBeVisible();
  await expect(page.locator('form')).toHaveCount(0);
  await page.goto(form(school, '', site.activities.over));
  await expect(page.getByRole('heading', { name: '活动已经结束' })).toBeVisible();
  // A form of before midnight: what it sends is about an activity that is over by now.
  for (const [activity, heading] of [[site.activities.over, '活动已经结束'], [site.activities.later, '活动尚未开始']]) {
    await page.goto(form(school));
    await rites(page);
    await page.evaluate((id) => {
      const form = document.getElementById('form');
      form.elements.activity.value = id;
      form.action = '/a/' + id;
    }, activity);
    await page.getByLabel('座号').fill('3');
    await submit(page);
    await expect(page.getByRole('heading', { name: heading })).toBeVisible();
    expect((await counts(activity)).participants.student).toBe(0);
    await page.evaluate(() => sessionStorage.clear());
  }
  expect((await counts()).participants.student).toBe(0);
});

test('the class is remembered; another language keeps the step', async ({ page, site, school }) => {
  await page.goto(form(school));
  await page.goto(`/a/${site.activities.open}`);
  await page.locator('#last a').click();
  await expect(page.getByText(`${school.name} · 三年级2班`)).toBeVisible();
  await page.getByRole('button', { name: '鞠躬' }).click();
  await expect(page.getByRole('button', { name: '献花' })).toBeVisible();
  await page.getByRole('link', { name: '繁體' }).click();
  await page.getByRole('button', { name: '獻花' }).click();
  await expect(page.getByLabel('座號')).toBeVisible();
  await page.getByRole('link', { name: 'English' }).click();
  await expect(page.getByLabel('Seat number')).toBeVisible();
});
