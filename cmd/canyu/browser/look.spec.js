import { test, expect, form, rites, receipt, accessible, fits } from './site.js';

// looks checks a screen by axe, and its width from 320 px to 4K.
const looks = async (page) => {
  await accessible(page);
  for (const width of [320, 375, 1280, 1920, 3840]) {
    await page.setViewportSize({ width, height: 800 });
    await fits(page);
  }
  await page.setViewportSize({ width: 1280, height: 800 });
};

test('choosing a place', async ({ page, site, school }) => {
  await page.goto(`/a/${site.activities.open}`);
  await looks(page);
  await page.goto(`/a/${site.activities.open}?region=341802`);
  await page.getByRole('searchbox').fill('第1');
  await expect(page.locator('#found a')).toHaveCount(20);
  await looks(page);
  await page.getByRole('searchbox').fill('没有的');
  await expect(page.locator('#found')).toHaveText('没有找到，请换一个词。');
  await page.goto(`/a/${site.activities.open}?school=${school.code}&lang=zh-Hant`);
  await looks(page);
});

for (const [lang, bow, flower] of [['zh-Hans', '鞠躬', '献花'], ['en', 'Bow', 'Lay flowers']]) {
  test(`the steps and the thanks, ${lang}`, async ({ page, context, school }) => {
    await page.goto(form(school, '&lang=' + lang));
    await looks(page);
    await page.getByRole('button', { name: bow }).click();
    await page.getByRole('button', { name: flower }).click();
    await page.locator('#seat').fill('0');
    await page.locator('[type=submit]').click();
    await expect(page.locator('#error-seat')).not.toBeEmpty();
    await looks(page);
    await context.setOffline(true);
    await page.locator('#seat').fill('1');
    await page.locator('[type=submit]').click();
    await expect(page.locator('.kept')).toBeVisible();
    await expect(page.locator('#outbox')).toBeVisible();
    await looks(page);
    await context.setOffline(false);
    await receipt(page);
    await looks(page);
    await page.emulateMedia({ media: 'print' });
    await expect(page.locator('header')).toBeHidden();
    await expect(page.locator('.make')).toBeHidden();
    await expect(page.locator('.receipt')).toBeVisible();
  });
}

test('a class at one screen', async ({ page, context, school }) => {
  await page.goto(form(school, '&mode=class'));
  await page.getByLabel('请每位同学写寄语').check();
  await context.setOffline(true);
  await page.locator('[data-seat="5"]').click();
  await looks(page);
  await page.getByRole('button', { name: '鞠躬' }).click();
  await page.getByRole('button', { name: '献花' }).click();
  await expect(page.getByLabel('寄语', { exact: true })).toBeFocused();
  await looks(page);
  await page.getByRole('button', { name: '完成' }).click();
  await expect(page.locator('.seats .waiting')).toHaveCount(1);
  await looks(page);
  for (const [width, height] of [[1280, 800], [1920, 1080]]) { // all seats in sight
    await page.setViewportSize({ width, height });
    await page.evaluate(() => window.scrollTo(0, 0));
    await expect(page.locator('[data-seat="45"]')).toBeInViewport();
    const box = await page.locator('[data-seat="45"]').boundingBox();
    expect(Math.min(box.width, box.height)).toBeGreaterThanOrEqual(60);
  }
});

test('the button to click is in the window, also a low one', async ({ page, school }) => {
  for (const [width, height] of [[1366, 625], [1280, 585], [375, 553], [320, 568], [740, 320]]) {
    await page.setViewportSize({ width, height });
    await page.goto(form(school));
    await expect(page.getByRole('button', { name: '鞠躬' })).toBeInViewport({ ratio: 1 });
    await page.goto(form(school, '&mode=class'));
    await page.locator('[data-seat="5"]').click();
    await expect(page.getByRole('button', { name: '鞠躬' })).toBeInViewport({ ratio: 1 });
  }
});

for (const lang of ['zh-Hans', 'zh-Hant', 'en']) {
  test(`the button covers no words, ${lang}`, async ({ page, school }) => {
    for (const [width, height] of [[375, 553], [360, 640], [375, 667], [320, 568], [740, 320], [1366, 625]]) {
      await page.setViewportSize({ width, height });
      await page.goto('about:blank');
      await page.goto(form(school, '&lang=' + lang));
      await page.evaluate(() => sessionStorage.clear());
      await page.reload();
      for (const how of ['form', 'class']) {
        if (how === 'class') {
          await page.goto(form(school, '&mode=class&lang=' + lang));
          await page.locator('[data-seat="5"]').click();
        }
        const go = page.locator('.go');
        for (const step of [1, 2]) {
          await expect(go).toBeInViewport({ ratio: 1 });
          const where = `${how}, step ${step}, ${width}×${height}`;
          const covered = await page.evaluate(() => [...document.querySelectorAll('main :is(p, li, a):not(.unseen)')].filter((e) => {
            if (!e.offsetHeight) return false;
            const range = document.createRange();
            range.selectNodeContents(e);
            return [...range.getClientRects()].some((r) => [r.top + 2, r.bottom - 2].some((y) => {
              const hit = document.elementFromPoint((r.left + r.right) / 2, y);
              return r.height && hit && !hit.contains(e) && !e.contains(hit);
            }));
          }).map((e) => e.textContent));
          expect(covered, where).toEqual([]);
          await expect(page.locator('.ritual .hint'), where).toBeInViewport({ ratio: 1 });
          if (step === 1) {
            const before = await go.textContent();
            await go.click();
            await expect(go).not.toHaveText(before);
          }
        }
      }
    }
  });
}

test('notices', async ({ page, site, school }) => {
  for (const activity of [site.activities.later, site.activities.over, 'nothing']) {
    await page.goto(form(school, '', activity));
    await looks(page);
  }
});

test('a theme: texts, pictures, a colour, and a day of mourning', async ({ page, site, school, counts }) => {
  const requests = [];
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(form(school, '', site.activities.themed));
  await expect(page.locator('.ritual .hint')).toHaveText('面向国旗，行队礼');
  await expect(page.locator('.scene .picture')).toBeVisible();
  expect(await page.locator('.scene .picture').evaluate((img) => img.naturalWidth)).toBeGreaterThan(0);
  expect(await page.evaluate(() => getComputedStyle(document.documentElement).filter)).toBe('grayscale(1)');
  expect(await page.evaluate(() => getComputedStyle(document.querySelector('header')).backgroundColor)).toBe('rgb(138, 27, 27)');
  await looks(page);
  await page.getByRole('button', { name: '敬礼' }).click();
  await page.getByLabel('座号').fill('7');
  await page.getByRole('button', { name: '提交' }).click();
  await expect(page.getByRole('heading', { name: '谢谢你，少先队员' })).toBeVisible();
  expect((await counts(site.activities.themed)).participants.student).toBe(1);
  expect(requests.filter((url) => !url.startsWith(site.url))).toEqual([]);
});
