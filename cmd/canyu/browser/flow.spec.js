import { test, expect } from './site.js';

test('the whole flow without JavaScript', async ({ browser, site, school, counts }) => {
  const context = await browser.newContext({ javaScriptEnabled: false, baseURL: site.url, locale: 'zh-CN' });
  const page = await context.newPage();
  await page.goto(`/a/${site.activities.open}`);
  await page.getByRole('link', { name: '宣州区' }).click();
  await page.getByRole('link', { name: school.name, exact: true }).click();
  await page.getByRole('link', { name: '2班' }).first().click();
  await page.getByRole('checkbox', { name: '鞠躬' }).check();
  await page.getByRole('checkbox', { name: '献花' }).check();
  await page.getByLabel('座号').fill('17');
  await page.getByRole('button', { name: '提交' }).click();
  await expect(page.getByRole('heading', { name: '感谢你的参与' })).toBeVisible();
  expect((await counts()).participants.student).toBe(1);
  await context.close();
});
