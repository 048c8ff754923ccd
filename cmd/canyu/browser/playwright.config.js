import { defineConfig } from '@playwright/test';

// Chromium is the system's, by its path; nothing is downloaded.
const args = ['--disable-dev-shm-usage', '--lang=zh-CN'];
if (process.getuid() === 0) args.push('--no-sandbox'); // which Chromium wants of root

export default defineConfig({
  testDir: '.',
  outputDir: process.env.CANYU_BROWSER_OUT || 'results',
  reporter: [['list']],
  workers: 2,
  fullyParallel: true,
  forbidOnly: true,
  retries: 0,
  timeout: 120_000,
  expect: { timeout: 30_000 },
  // What measures runs by itself, after the others.
  projects: [
    { name: 'pages', testIgnore: 'measure*' },
    { name: 'measure', testMatch: 'measure*', dependencies: ['pages'], workers: 1 },
  ],
  use: {
    locale: 'zh-CN',
    viewport: { width: 1280, height: 800 },
    launchOptions: { executablePath: process.env.CANYU_CHROMIUM || '/usr/bin/chromium', args },
    trace: 'off',
  },
});
