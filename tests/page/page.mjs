// The status page in a real browser: what a person sees, clicks, types and hears.
//
// node page.mjs PROGRAM NODE_MODULES FOLDER: takes the program and the folder with playwright-core and axe-core, leaves
// its screenshots in FOLDER, and fails at the first thing that is not as it should be.

import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

import { ACCOUNTS, Scene, id, nameOf, until } from "./scene.mjs";

const [program, modules, out] = process.argv.slice(2).map((path) => resolve(path));
const require = createRequire(join(modules, "x.js"));
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");

const DESKTOP = { width: 1200, height: 900 };
const PHONE = { width: 360, height: 780 };
const PATIENCE = 30000;

let browser, scene;
const errors = [];

// A new tab whose complaints count.
async function open(path = "", { viewport = DESKTOP, colorScheme = "light", ...options } = {}) {
  const context = await browser.newContext({ viewport, colorScheme, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.expectErrors = false;
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !page.expectErrors) errors.push(`${page.url()}: ${message.text()}`);
  });
  page.on("pageerror", (error) => errors.push(`${page.url()}: ${error}`));
  await page.addInitScript(() => document.addEventListener("securitypolicyviolation", (event) => console.error("CSP", event.blockedURI)));
  await page.goto(`${scene.url}/${path}`);
  return page;
}

const done = (page) => page.context().close();
const h1 = (page) => page.locator("h1").innerText();
const names = (page) => page.locator("table.accounts tbody th a").allInnerTexts();
const becomes = (page, locator, text) => page.locator(locator).filter({ hasText: text }).first().waitFor({ state: "attached" });
const shoot = (page, name, options) => page.screenshot({ path: join(out, `${name}.png`), animations: "disabled", ...options });

// No rule of WCAG 2.2 A and AA is broken, as far as a machine can tell, nor any of the best practices. Run past the
// page's own policy, which would not let a stranger's script in.
async function accessible(path, options) {
  const page = await open(path, { ...options, bypassCSP: true });
  await page.addScriptTag({ path: axe });
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
  assert.deepEqual(told, [], `${path} ${JSON.stringify(options)}`);
  await done(page);
}

async function narrow(path) {
  const page = await open(path, { viewport: PHONE });
  const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.equal(inner, outer, `${path} scrolls sideways on a phone`);
  await done(page);
}

const steps = {
  async "all is in sync at a glance, but for what the service refuses"() {
    const page = await open();
    assert.equal(await h1(page), "3 accounts need attention");
    const counts = await page.locator(".count").allInnerTexts();
    assert.deepEqual(counts.map((count) => count.replace(/\s+/g, " ").trim()),
      ["9,997 In sync", "0 No manifest", "0 Suspended", "0 Pending", "0 Drifted", "0 Held back", "3 Stalled"]);
    const [first] = await page.locator("table.accounts tbody tr").allInnerTexts();
    assert.match(first, /Stalled[\s\S]*(AccountNotFound|Forbidden)[\s\S]*HTTP 40/);
    await done(page);
  },

  async "a click on a state, a search and a page each have an address of their own"() {
    const page = await open();
    await page.getByRole("link", { name: /Stalled$/ }).click();
    assert.match(page.url(), /\?state=stalled#accounts$/);
    assert.equal((await names(page)).length, 3);
    await page.getByRole("link", { name: "Show all" }).click();
    await page.getByRole("link", { name: "Next →" }).click();
    assert.match(page.url(), /page=2/);
    assert.equal((await names(page)).length, 100);
    await page.getByLabel("Search").fill("YUKI-Tanaka");
    await becomes(page, "#found", "39 accounts of 10,000");
    assert.match(page.url(), /\?q=YUKI-Tanaka#accounts$/, "what is typed is in the address, which begins at page 1");
    const shared = await open(page.url().slice(scene.url.length + 1));
    assert.deepEqual(await names(shared), await names(page));
    await page.getByLabel("Search").fill(id(4711));
    await becomes(page, "#found", "1 account of 10,000");
    await page.getByRole("link", { name: nameOf(4711) }).click();
    assert.equal(await h1(page), nameOf(4711));
    await done(shared);
    await done(page);
  },

  async "works without a script"() {
    const page = await open("", { javaScriptEnabled: false });
    await page.getByLabel("Search").fill("lena.meyer@");
    await page.locator("#state").selectOption("In sync");
    await page.getByRole("button", { name: "Show" }).click();
    assert.deepEqual(await names(page), ["lena-meyer"]);
    await done(page);
  },

  async "an edit arrives by itself and disturbs nobody who types, reads or has chosen something"() {
    const page = await open();
    await page.locator("#more-changes summary").click();
    await page.getByLabel("Search").fill("omar");
    await becomes(page, "#found", /accounts of/);
    await page.getByLabel("Search").press("ArrowLeft");
    await page.evaluate(() => { scrollTo(0, 200); globalThis.mark = document.querySelector("#q"); });
    scene.edit("Jonas Weber", "Sales: off the phones by Friday", [[1, { sync: false }]]);
    await becomes(page, ".changes li >> nth=0", "off the phones by Friday");
    const change = await page.locator(".changes li").first().innerText();
    assert.match(change, /lena-okafor: ActiveSync off/);
    assert.match(change, /team-000\.yaml:\d+ main@[0-9a-f]{8} Sales: off the phones by Friday Jonas Weber/);
    const kept = await page.evaluate(() => [scrollY, mark === document.activeElement, mark.value, mark.selectionStart]);
    assert.deepEqual(kept, [200, true, "omar", 3]);
    assert.equal(await page.locator("#more-changes").getAttribute("open"), "");
    await done(page);
  },

  async "a page nobody looks at asks for nothing"() {
    const page = await open();
    let asked = 0;
    page.on("request", () => (asked += 1));
    await page.evaluate(() => {
      Object.defineProperty(document, "hidden", { value: true, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    });
    await page.waitForTimeout(1000); // what was asked just before is told late
    const before = asked;
    await page.waitForTimeout(5000); // it would have asked twice
    assert.equal(asked, before);
    await page.evaluate(() => { delete document.hidden; document.dispatchEvent(new Event("visibilitychange")); });
    await until("a question", () => asked > before);
    await done(page);
  },

  async "one account has a page, which is live as well"() {
    const page = await open(`accounts/${id(7)}`);
    await becomes(page, "main", "everything that the manifest wants");
    assert.match(await page.locator("dl.facts").innerText(), /elif\.okafor@example\.com[\s\S]*2560636000000008007[\s\S]*team-000\.yaml:/);
    scene.edit("Mara Lindqvist", "Elif is on leave", [[7, { more: "  suspend: true\n  suspendReason: on leave\n" }]]);
    await becomes(page, ".badge", "Suspended");
    assert.match(await page.locator(".lead").innerText(), /on leave/);
    await page.getByRole("link", { name: "What to do: Suspended" }).click();
    assert.match(page.url(), /\/runbook#Suspended$/);
    await page.locator("section#Suspended").waitFor();
    await done(page);
  },

  async "a daemon that is gone is said to be gone, and one that comes back is believed"() {
    const page = await open("?q=omar");
    page.expectErrors = true; // the browser's own words about a connection that is refused
    await page.getByLabel("Search").focus();
    await scene.kill();
    await becomes(page, "#connection", /^Not connected since \d\d:\d\d:\d\d UTC/);
    await shoot(page, "gone");
    await scene.run("--rate-limit", "25/20s", "--disruption-budget", "5");
    await becomes(page, "#connection", /^$/);
    assert.equal(await page.evaluate(() => document.activeElement.id), "q");
    assert.match(await h1(page), /attention|up to date/);
    await done(page);
  },

  async "what is held, broken and on its way is told with what to do"() {
    await until("room in the request budget", async () => (await scene.report()).requestBudget.used === 0);
    writeFileSync(join(scene.state, "new.yaml"), "apiVersion: zoho-mail-reconciler/v1\nkind: MailAccount\nmetdata: {}\n");
    const leavers = Array.from({ length: 12 }, (_, n) => [3000 + n, { enabled: false }]);
    const phones = Array.from({ length: 44 }, (_, n) => [6000 + 3 * n, { sync: true }]);
    scene.edit("Noor Haddad", "Offboard the summer team; phones for support", [...leavers, ...phones]);
    const page = await open();
    await becomes(page, ".notices", "held back by the disruption budget");
    await becomes(page, ".notices", /\d problems? in manifests/);
    await becomes(page, ".notices .lines", /new\.yaml:\d+:\d+: /);
    await becomes(page, "#n-Progressing-", "request budget");
    await page.locator("#state").selectOption("Held back");
    await becomes(page, "#found", "12 accounts of 10,000");
    await becomes(page, "table.accounts", "on → off");
    await done(page);
  },

  async "nobody is shut out: contrast, names and order in light and dark, on a phone and a desktop"() {
    for (const path of ["", `accounts/${id(3000)}`, "runbook", "accounts/1"]) {
      for (const colorScheme of ["light", "dark"]) {
        if (path !== "accounts/1") await accessible(path, { colorScheme });
      }
      if (path !== "accounts/1") await accessible(path, { viewport: PHONE });
      if (path !== "accounts/1") await narrow(path);
    }
    await narrow("?state=held");
  },

  async "a keyboard is enough"() {
    const page = await open();
    const press = async (key) => {
      await page.keyboard.press(key);
      return page.evaluate(() => document.activeElement.innerText || document.activeElement.id);
    };
    assert.equal(await press("Tab"), "Skip to the content");
    await page.keyboard.press("Enter");
    let focused;
    for (let presses = 0; presses < 60 && focused !== "q"; presses++) {
      focused = await press("Tab");
      const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.notEqual(ring, "none", `${focused} shows that it has the focus`);
    }
    assert.equal(focused, "q", "from the content to the search without a trap");
    await page.keyboard.type("sara-rossi");
    await becomes(page, "#found", "39 accounts of");
    for (let presses = 0; presses < 10 && !focused.startsWith("sara"); presses++) focused = await press("Tab");
    await page.keyboard.press("Enter");
    await page.waitForURL(/accounts\//);
    assert.match(await h1(page), /^sara-rossi/);
    await done(page);
  },

  async "pictures"() {
    for (const [name, path, options] of [
      ["light", "", {}], ["dark", "", { colorScheme: "dark" }], ["phone", "", { viewport: PHONE }],
      ["detail", `accounts/${id(3000)}`, {}], ["detail-phone", `accounts/${id(3000)}`, { viewport: PHONE, colorScheme: "dark" }],
      ["held", "?state=held", {}], ["runbook", "runbook", {}], ["page", "", { viewport: { width: 1040, height: 720 } }],
    ]) {
      const page = await open(path, options);
      await shoot(page, name, { fullPage: ["phone", "detail", "detail-phone", "held"].includes(name), ...(name === "phone" && { fullPage: false }) });
      if (name === "phone") {
        for (const [part, selector] of [["phone-2", ".cards"], ["phone-3", "#accounts"]]) {
          await page.locator(selector).evaluate((node) => node.scrollIntoView());
          await shoot(page, part);
        }
      }
      await done(page);
    }
  },
};

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
scene = new Scene(program);
try {
  const refuse = (n, status, errorCode) => ({ account: id(n), do: { answer: { status, body: `{"status":{"code":${status}},"data":{"errorCode":"${errorCode}"}}` } } });
  await scene.start([refuse(42, 404, "ACCOUNT_NOT_FOUND"), refuse(43, 403, "FORBIDDEN"), refuse(1234, 404, "ACCOUNT_NOT_FOUND")]);
  await scene.run("--rate-limit", "unlimited", "--disruption-budget", "100%");
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: flags });
  await until("everybody", async () => {
    const report = await scene.report();
    return report.managed === ACCOUNTS && report.pending === report.rejected && report.rejected === 3;
  });
  for (const [name, step] of Object.entries(steps)) {
    const begun = Date.now();
    await step();
    assert.deepEqual(errors, [], "the browser's console");
    console.log(`ok ${name} (${Date.now() - begun} ms)`);
  }
} catch (error) {
  console.error(scene.said());
  throw error;
} finally {
  await browser?.close();
  scene.end();
}
