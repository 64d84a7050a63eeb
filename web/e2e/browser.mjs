// A headless Chromium on a real dashboard. CHROMIUM names another binary.
import { chromium } from "playwright-core";

const ARGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-default-apps", "--disable-sync", "--no-first-run", "--metrics-recording-only"];

/**
 * Opens a page that collects what a user would call broken: script errors and what the Content-Security-Policy stopped.
 * @param {{ dark?: boolean, width?: number, height?: number }} [look]
 */
export async function open(look = {}) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGS });
  const context = await browser.newContext({ viewport: { width: look.width ?? 1440, height: look.height ?? 900 }, colorScheme: look.dark ? "dark" : "light", reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  /** @type {string[]} */
  const broken = [];
  page.on("pageerror", (error) => broken.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) broken.push(message.text());
  });
  return { browser, page, broken };
}

/** An environment variable that must be there. @param {string} name @returns {string} */
export function need(name) {
  const value = process.env[name];
  if (!value) {
    console.error(`${name} is not set. The test needs a running lab: LASTMILE_URL (the dashboard) and LASTMILE_TOKEN (a Kubernetes token).`);
    process.exit(2);
  }
  return value;
}
