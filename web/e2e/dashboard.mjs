// The dashboard as a person sees it, in a real Chromium on a running lab: LASTMILE_URL=… LASTMILE_TOKEN=… node e2e/dashboard.mjs
// Leaves its screenshots in docs/screenshots/ (SCREENSHOTS names another folder).
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

import { need, open } from "./browser.mjs";

/** @typedef {import("../src/api/schema").components["schemas"]} S */

const url = need("LASTMILE_URL").replace(/\/$/, "");
const token = need("LASTMILE_TOKEN");
const shots = process.env.SCREENSHOTS ?? fileURLToPath(new URL("../../docs/screenshots/", import.meta.url));
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What the API itself says. @template T @param {string} path @returns {Promise<T>} */
async function ask(path) {
  const answer = await fetch(`${url}/api/v1/${path}`, { headers: { Authorization: `Bearer ${token}` } });
  assert.equal(answer.status, 200, `GET /api/v1/${path} answered ${answer.status}`);
  return answer.json();
}

const { browser, page, broken } = await open();

/** @param {string} name @param {number} [height] */
async function shoot(name, height = 900) {
  await page.setViewportSize({ width: 1440, height });
  await page.screenshot({ path: `${shots}/${name}.png` });
  await page.setViewportSize({ width: 1440, height: 900 });
}

/** No finding of axe-core that would keep somebody out. @param {string} name */
async function accessible(name) {
  await page.evaluate(axe);
  const found = await page.evaluate(() => /** @type {any} */ (window).axe.run());
  const grave = found.violations.filter((/** @type {any} */ v) => ["serious", "critical"].includes(v.impact));
  assert.deepEqual(grave.map((/** @type {any} */ v) => `${v.id}: ${v.nodes[0].html}`), [], `${name} is not accessible`);
}

/** @type {[name: string, run: () => Promise<void>][]} */
const steps = [
  ["without a token there is the sign-in page, and a wrong one is refused", async () => {
    await page.goto(`${url}/sessions/`);
    await page.getByLabel("Kubernetes token").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText(/does not know this token/).waitFor();
    await accessible("the sign-in page");
  }],
  ["the token of the fragment signs in and leaves the address", async () => {
    await page.goto("about:blank");
    await page.goto(`${url}/sessions/#token=${token}`);
    await page.getByRole("heading", { name: "Sessions", level: 1 }).waitFor();
    assert.ok(!page.url().includes("token"), "the token stayed in the address");
  }],
  ["the live sessions are those of the API", async () => {
    /** @type {S["Page_Session"]} */
    const { items } = await ask("sessions?limit=500");
    assert.ok(items.length > 0, "nobody is online");
    await page.getByText("Live", { exact: true }).waitFor();
    const table = page.getByRole("region", { name: "Live sessions" });
    for (const session of items.slice(0, 8)) await table.getByText(session.ip, { exact: true }).first().waitFor();
    await accessible("the sessions page");
    await shoot("sessions", 520);
  }],
  ["the search narrows the list and lives in the address", async () => {
    /** @type {S["Page_Session"]} */
    const { items } = await ask("sessions?limit=1");
    const ip = items[0]?.ip ?? "";
    await page.getByRole("searchbox").fill(ip);
    await page.getByText(/^\d+ of \d+/).waitFor();
    assert.match(page.url(), new RegExp(`q=${ip}`));
    await page.getByRole("table").getByRole("link").first().click();
    await page.getByRole("heading", { name: "Identity" }).waitFor();
  }],
  ["a session shows its figures, its events and its end by an operator", async () => {
    await page.getByRole("heading", { name: "Traffic" }).waitFor();
    await page.getByText("Session start", { exact: true }).waitFor();
    await accessible("a session");
    await shoot("session");
    await page.getByRole("button", { name: "Disconnect…" }).click();
    await page.getByRole("button", { name: "Keep online" }).click();
  }],
  ["the overview shows every gateway and its health", async () => {
    /** @type {S["Page_Bng"]} */
    const { items } = await ask("bngs");
    assert.ok(items.length > 0, "there is no gateway");
    await page.goto(`${url}/`);
    for (const bng of items) {
      const card = page.locator(`[data-bng="${bng.namespace}/${bng.name}"]`);
      await card.waitFor();
      assert.match(await card.innerText(), bng.stale ? /Down|Never heard of/ : /CPU\s+\d/);
    }
    await page.getByRole("heading", { name: "Throughput" }).waitFor();
    await accessible("the overview");
    await shoot("overview");
  }],
  ["a gateway's page draws its health", async () => {
    /** @type {S["Page_Bng"]} */
    const { items } = await ask("bngs");
    const bng = items.find((b) => b.health) ?? items[0];
    await page.goto(`${url}/bngs/?bng=${bng?.namespace}/${bng?.name}`);
    for (const title of ["CPU", "Memory", "Sessions"]) await page.getByRole("img", { name: new RegExp(`^${title} of`) }).waitFor();
    await accessible("a gateway");
    await shoot("bng");
  }],
  ["every other page opens", async () => {
    for (const [path, title] of [["history/?span=all", "History"], ["routers/", "Access routers"], ["topology/", "Topology"], ["policies/", "Policies"], ["events/", "Events"]]) {
      await page.goto(`${url}/${path}`);
      await page.getByRole("heading", { name: title, level: 1 }).waitFor();
      await page.locator("main").getByRole("status").waitFor({ state: "detached" });
      assert.equal(await page.getByRole("alert").filter({ hasText: "API" }).count(), 0, `${path} shows a failure`);
      await accessible(title ?? "");
    }
  }],
];

let failed = false;
for (const [name, run] of steps) {
  try {
    await run();
    console.log(`ok   ${name}`);
  } catch (error) {
    failed = true;
    console.error(`FAIL ${name}\n${error instanceof Error ? error.message : error}`);
    await shoot("failed").catch(() => {});
    break;
  }
}
await browser.close();
if (broken.length) console.error(`FAIL the browser complained:\n${[...new Set(broken)].join("\n")}`);
process.exit(failed || broken.length ? 1 : 0);
