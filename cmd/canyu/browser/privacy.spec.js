import { test, expect, form, rites, receipt, accessible, fits } from './site.js';

const looks = async (page) => {
  await accessible(page);
  for (const width of [320, 375, 1280, 1920]) {
    await page.setViewportSize({ width, height: 800 });
    await fits(page);
  }
  await page.setViewportSize({ width: 1280, height: 800 });
};

test('what is told beside the form leads to all of it', async ({ page, context, school }) => {
  await page.goto(form(school));
  await rites(page);
  await expect(page.locator('.told')).toContainText('不收集姓名');
  await expect(page.locator('#consent')).toHaveCount(0);
  await looks(page);
  const [notice] = await Promise.all([context.waitForEvent('page'), page.locator('.told a').click()]);
  await expect(notice.getByRole('heading', { name: '谁在收集' })).toBeVisible();
  await looks(notice);
  await notice.getByRole('link', { name: 'English' }).click();
  await expect(notice.getByRole('heading', { name: 'Who collects' })).toBeVisible();
  await looks(notice);
  await expect(page.getByLabel('座号')).toBeVisible(); // what was begun is still there
});

test('a box to tick, and thanks without a number where counts are closed', async ({ page, site, school }) => {
  await page.goto(form(school, '', site.activities.closed));
  await rites(page);
  await expect(page.locator('.told')).toContainText('宣州区教育体育局收集');
  await page.getByLabel('座号').fill('7');
  await page.getByRole('button', { name: '提交' }).click();
  await expect(page.locator('#error-consent')).toHaveText('请先看说明，同意后在这里打勾。');
  await expect(page.locator('#consent')).toBeFocused();
  await looks(page);
  await page.getByLabel('我已看过个人信息说明').check();
  await page.getByRole('button', { name: '提交' }).click();
  await receipt(page);
  await expect(page.locator('.counted')).toBeHidden();
  await expect(page.locator('.repeat')).toBeHidden();
  await expect(page.getByRole('heading', { name: '感谢你的参与' })).toBeVisible();
  await looks(page);
});

test('a box to tick without scripts', async ({ browser, site, school }) => {
  const context = await browser.newContext({ javaScriptEnabled: false, baseURL: site.url });
  const page = await context.newPage();
  await page.goto(form(school, '&lang=en', site.activities.closed));
  await page.getByLabel('Bow').check();
  await page.getByLabel('Lay flowers').check();
  await page.locator('#seat').fill('8');
  await page.locator('form#form').evaluate((f) => { f.noValidate = true; });
  await page.getByRole('button', { name: 'Submit' }).click();
  await expect(page.locator('#error-consent')).toBeVisible();
  await page.locator('#consent').check();
  await page.getByRole('button', { name: 'Submit' }).click();
  await expect(page.locator('.receipt')).toBeVisible();
  await context.close();
});
