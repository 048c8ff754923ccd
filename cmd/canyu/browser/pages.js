// What specs of the pages of schools and bureaus share.
import { test as base, expect } from './site.js';

// enter makes a context hold the link that a command prints.
export const enter = async (context, site, canyu, ...scope) => {
  const out = await canyu('link', ...scope);
  const page = await context.newPage();
  await page.goto(site.url + out.match(/\/link\/[\w-]+/)[0]);
  await page.close();
};

export const test = base.extend({
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

export const count = (page) => page.locator('#count');
export const live = (page) => expect(page.locator('#pill')).toHaveAttribute('data-is', 'live');
