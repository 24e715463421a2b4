/* The page of a run in a real Chromium: pages are written by muster, and looked at as a person would. */
"use strict";
const { test, before, after } = require("node:test");
const assert = require("node:assert");
const { spawnSync } = require("node:child_process");
const fs = require("node:fs");
const http = require("node:http");
const os = require("node:os");
const path = require("node:path");
const { chromium } = require("playwright-core");

const MUSTER = process.env.MUSTER;
const shots = path.join(process.env.MUSTER_BUILD, "report-pages"); /* kept, for whoever wants to look */
const dir = fs.mkdtempSync(path.join(os.tmpdir(), "muster-report-"));
const file = (name) => path.join(dir, name);
const RUNS = 3;
let browser, said;

/* Run muster; its standard output. A run with failures is what is wanted, so the code is the caller's affair. */
function muster(code, ...args) {
  const result = spawnSync(MUSTER, args, { env: { ...process.env, HOME: dir, XDG_STATE_HOME: "" }, encoding: "utf8", maxBuffer: 1 << 26 });
  assert.strictEqual(result.status, code, result.stderr.slice(-2000));
  return result.stdout;
}

function inventory(name, n) {
  fs.writeFileSync(file(name), Array.from({ length: n }, (_, i) => `srv${String(i + 1).padStart(5, "0")} address=127.0.0.1\n`).join(""));
  return file(name);
}

function runFleet(n, ...more) {
  return muster(1, "run", path.join(__dirname, "fleet.lua"), "--local", "-i", inventory(`fleet${n}.txt`, n), "-j", "20", "--workers", "2",
    "-q", "--log-file", "/dev/null", ...more);
}

/* A page, opened; whatever it complains of, or asks the network for, fails the test. */
async function open(name, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1300, height: 900 }, ...options });
  const page = await context.newPage();
  page.trouble = [];
  page.on("pageerror", (error) => page.trouble.push(`error: ${error.stack}`));
  page.on("console", (message) => { if (message.type() !== "log") page.trouble.push(`console: ${message.text()}`); });
  page.on("dialog", (dialog) => { page.trouble.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("request", (request) => { if (!request.url().startsWith(`file://${dir}/`) && !request.url().startsWith("data:")) page.trouble.push(`request: ${request.url()}`); });
  await page.goto(`file://${file(name)}`);
  await page.waitForSelector("html[data-ready]");
  return page;
}

async function close(page) {
  assert.deepStrictEqual(page.trouble, []);
  await page.context().close();
}

/* What a press comes to is there a moment later. */
async function says(page, selector, text) {
  await page.waitForFunction(([s, t]) => document.querySelector(s)?.textContent === t, [selector, text]);
}

/* Each chart is drawn when it comes into sight. */
async function see(page, selector) {
  await page.locator(selector).first().scrollIntoViewIfNeeded();
  await page.waitForFunction((s) => document.querySelector(s).closest(".drawn").chart, selector);
}

before(async () => {
  fs.mkdirSync(shots, { recursive: true });
  for (let k = 1; k <= RUNS; k++) said = runFleet(120, "--db", file("fleet.db"), "-p", `run=${k}`, "--html", file("fleet.html"));
  browser = await chromium.launch({ executablePath: "/usr/bin/chromium", env: { ...process.env, HOME: dir } });
});
after(async () => {
  if (browser) await browser.close();
  fs.rmSync(dir, { recursive: true, force: true });
});

test("the verdict says what the summary says", async () => {
  const page = await open("fleet.html");
  const lines = said.trimEnd().split("\n");
  assert.strictEqual(lines.at(-1).split(" failed_servers=")[0], await page.textContent("#headline"));
  const rows = await page.$$eval(".cause > summary", (all) => all.map((s) => [...s.children].map((c) => c.textContent)));
  assert.deepStrictEqual(rows.map((r) => r.join(" ")), lines.filter((l) => /^[A-Z]+  /.test(l)).map((l) => l.replace(/ +/g, " ")));
  for (const line of lines.slice(rows.length, -1)) assert.ok((await page.textContent("#lines")).includes(line.split(" unmeasured_servers")[0]), line);
  await page.click(".cause > summary");
  await page.click(".cause .names button");
  assert.strictEqual(await page.textContent("#server-name"), "srv00007");
  await page.keyboard.press("Escape");
  await page.click(".cause .names button:last-child");
  assert.match(await page.textContent("#shown"), /^2 of 120 servers/);
  await page.click("#unfilter");
  assert.strictEqual(await page.textContent("#shown"), "120 servers.");
  await close(page);
});

test("a stored run gives the same page as the run itself, but for the random word", () => {
  muster(0, "report", "--db", file("fleet.db"), "--html", file("again.html"));
  const [a, b] = ["fleet.html", "again.html"].map((name) => fs.readFileSync(file(name), "utf8").replace(/nonce[-=]"?[0-9a-f]{32}/g, "nonce"));
  assert.strictEqual(a, b);
});

test("a press on an outlier, a bar of the histogram, a bar of the timeline", async () => {
  const page = await open("fleet.html");
  await see(page, ".card canvas");
  const spot = (dataset, index) => page.evaluate(([d, i]) => {
    const chart = document.querySelector(".card .chart").chart;
    const at = chart.getDatasetMeta(d).data[i], box = chart.canvas.getBoundingClientRect();
    return [box.left + at.x, box.top + (d ? (at.y + at.base) / 2 : at.y)];
  }, [dataset, index]);
  assert.deepStrictEqual(await page.evaluate(() => document.querySelector(".card .chart").chart.options.plugins.bounds.lines.map((l) => l.text)), ["≥ 800"]);
  await page.mouse.click(...await spot(0, 0));
  assert.match(await page.textContent("#server-name"), /^srv000(07|68)$/);
  await page.keyboard.press("Escape");
  await page.waitForSelector("#server:not([open])", { state: "attached" });
  const [bin, count] = await page.evaluate(() => {
    const data = document.querySelector(".card .chart").chart.data.datasets[1].data;
    const k = data.findIndex((d) => d.y > 3);
    return [k, data[k].y];
  });
  await page.mouse.click(...await spot(1, bin));
  await says(page, "#shown", `${count} of 120 servers shown.`);
  await see(page, "#timeline-chart canvas");
  assert.match(await page.textContent("#timeline-note"), /^120 servers in .*, at most \d+ at once, 2 workers\./);
  const [server, x, y] = await page.evaluate(() => {
    const chart = document.getElementById("timeline-chart").chart, lanes = makeLanes(), i = lanes.ran[30], box = chart.canvas.getBoundingClientRect();
    const unit = D.run.ms < 120000 ? 1000 : 1;
    const middle = chart.scales.x.getPixelForValue((S.start[i] + S.ms[i] / 2) / unit);
    return [S.id[i], box.left + middle, box.top + chart.scales.y.getPixelForValue(lanes.of[i] + 0.5)];
  });
  await page.mouse.move(x, y);
  await page.waitForFunction((start) => document.querySelector("#timeline-at")?.textContent.startsWith(start), `${server}: `);
  await page.mouse.click(x, y);
  await says(page, "#server-name", server);
  await close(page);
});

test("lanes of the timeline hold one server at a time, and are no more than were in flight", async () => {
  const page = await open("fleet.html");
  const t = await page.evaluate(() => {
    const lanes = makeLanes();
    return { n: mostAtOnce(lanes.ran, lanes.end), ran: lanes.ran.length,
      each: lanes.workers.map((w) => [w.n, mostAtOnce(lanes.ran.filter((i) => S.worker[i] === w.worker), lanes.end)]), workers: lanes.workers.map((w) => w.worker),
      overlap: lanes.lanes.some((lane) => lane.some((i, k) => k && S.start[i] < lanes.end(lane[k - 1]))) };
  });
  assert.deepStrictEqual([t.ran, t.overlap, t.workers], [120, false, [0, 1]]);
  assert.ok(t.n <= 20, `${t.n} at once`);
  for (const [lanes, most] of t.each) assert.strictEqual(lanes, most);
  await close(page);
});

test("one server: failures, thresholds, former runs, samples, logs", async () => {
  const page = await open("fleet.html");
  await page.evaluate(() => openServer(6));
  const text = await page.textContent("#server .body");
  assert.match(text, /PerformanceBelowExpected/);
  assert.match(text, /cpu.events_per_second704 events\/s missed≥ 800 events\/s/);
  assert.match(text, /With 2 former runs/);
  assert.match(text, /median of 3: /);
  assert.strictEqual(await page.getAttribute("#server .spark", "aria-label"), "Former runs, oldest first: 706, 705; this run: 704");
  await see(page, "#server .spark canvas");
  assert.deepStrictEqual(await page.evaluate(() => document.querySelector("#server .spark").chart.data.datasets[0].data), [706, 705, 704]);
  assert.match(await page.textContent("#server .step pre"), /events per second: 9/);
  await page.screenshot({ path: path.join(shots, "server.png") });
  await page.evaluate(() => openServer(4));
  assert.match(await page.textContent("#server .failure pre"), /the tool broke/);
  await close(page);
});

test("the table: sorting, filters, keys", async () => {
  const page = await open("fleet.html");
  const ids = () => page.$$eval("#table-rows .row:not([hidden])", (rows) => rows.sort((a, b) => a.at - b.at).map((r) => r.firstChild.textContent));
  assert.deepStrictEqual((await ids()).slice(0, 5), ["srv00007", "srv00011", "srv00068", "srv00005", "srv00102"]);
  await page.click("#table-head button:has-text('read_iops')");
  await page.click("#table-head button:has-text('read_iops')");
  assert.strictEqual(await page.getAttribute("#table-head [aria-sort=descending]", "role"), "columnheader");
  const values = await page.evaluate(() => table.order.map((i) => metrics.find((m) => m.name === "read_iops").value(i)));
  assert.deepStrictEqual(values, [...values].sort((a, b) => b - a));
  assert.strictEqual(values.length, 120);
  await page.fill("#filter", "SRV0000");
  assert.strictEqual(await page.textContent("#shown"), "9 of 120 servers shown.");
  await page.fill("#filter", "latency_ms");
  assert.deepStrictEqual((await ids()).sort(), ["srv00007", "srv00068"]);
  await page.fill("#filter", "");
  await page.selectOption("#status", { label: "error" });
  assert.deepStrictEqual((await ids()).sort(), ["srv00005", "srv00102"]);
  await page.selectOption("#status", { label: "any" });
  await page.click("#table-head button:has-text('Server')");
  await page.focus("#table");
  await page.keyboard.press("End");
  assert.strictEqual(await page.textContent(`#${await page.getAttribute("#table", "aria-activedescendant")} > :first-child`), "srv00120");
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  assert.strictEqual(await page.textContent("#server-name"), "srv00002");
  await page.keyboard.press("ArrowRight");
  assert.strictEqual(await page.textContent("#server-name"), "srv00003");
  await page.keyboard.press("Escape");
  assert.strictEqual(await page.evaluate(() => document.activeElement.id), "table");
  await page.click("#columns summary");
  await page.uncheck("#columns input >> nth=0");
  assert.strictEqual(await page.locator("#table-head button:has-text('events_per_second')").count(), 0);
  await close(page);
});

test("nothing gets out, and nothing foreign runs: the page's own policy", async () => {
  let asked = 0;
  const server = http.createServer((_, answer) => { asked++; answer.end(); });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const page = await open("fleet.html");
  await page.evaluate(async (url) => {
    const script = document.createElement("script");
    script.textContent = "window.hacked = 1";
    document.body.append(script);
    const holder = document.createElement("div");
    holder.innerHTML = `<img src='${url}/x.png' onerror='window.hacked = 2'>`; /* as a mistake of the page would */
    document.body.append(holder);
    await fetch(url, { mode: "no-cors" }).then(() => { window.hacked = 3; }, () => {});
  }, `http://127.0.0.1:${server.address().port}`);
  assert.strictEqual(await page.evaluate(() => window.hacked), undefined);
  const refused = page.trouble.filter((t) => /Content Security Policy/i.test(t));
  assert.ok(refused.length >= 4, page.trouble.join("\n"));
  await page.context().close();
  await new Promise((done) => server.close(done));
  assert.strictEqual(asked, 0);
});

test("hostile names and output are text, and break nothing", async () => {
  fs.writeFileSync(file("hostile.json"), JSON.stringify({ servers: [
    { id: "</script><script>window.hacked()</script><img/src/onerror>", address: "127.0.0.1" }, { id: "@@DATA@@", address: "127.0.0.1" },
    { id: "__proto__", address: "127.0.0.1" }, { id: `a${"very".repeat(60)}long`, address: "127.0.0.1" }] }));
  muster(1, "run", path.join(__dirname, "hostile.lua"), "--local", "-i", file("hostile.json"), "--no-db", "-q", "--log-file", "/dev/null",
    "--html", file("hostile.html"));
  for (const options of [{}, { viewport: { width: 390, height: 844 }, isMobile: true }]) {
    const page = await open("hostile.html", options);
    for (let i = 0; i < 4; i++) {
      await page.evaluate((k) => openServer(k), i);
      assert.ok(await page.evaluate(() => $("server").scrollWidth <= $("server").clientWidth), "the dialog is too wide");
      await page.evaluate(() => $("server").close());
    }
    await page.$$eval(".cause > summary", (all) => all.forEach((s) => s.click()));
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    assert.strictEqual(await page.evaluate(() => window.hacked), undefined);
    assert.strictEqual(await page.locator("img, iframe, b b, i, #server script, #table script").count(), 0);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page is too wide");
    await page.evaluate(() => { dispatchEvent(new Event("afterprint")); openServer(0); });
    const text = await page.textContent("#server");
    assert.ok(text.includes("<img src=x onerror=\"window.hacked=2\">") && text.includes("\\u{202E}dekcah") && text.includes("\\u{1B}[31m"), text.slice(0, 1500));
    await page.screenshot({ path: path.join(shots, `hostile-${options.isMobile ? "phone" : "server"}.png`) });
    await page.evaluate(() => openServer(2));
    assert.match(await page.textContent("#server"), /infinf/);
    await close(page);
  }
});

test("light, dark, phone, paper, little motion", async () => {
  const back = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await open("fleet.html");
  await see(light, "#timeline-chart canvas");
  await see(light, ".card:last-child canvas");
  await light.screenshot({ path: path.join(shots, "light.png"), fullPage: true });
  const colors = [await back(light)];
  await light.click("#theme");
  assert.strictEqual(await light.textContent("#theme"), "Theme: light");
  await light.click("#theme");
  colors.push(await back(light));
  await light.emulateMedia({ media: "print" });
  await light.evaluate(() => dispatchEvent(new Event("beforeprint")));
  assert.strictEqual(await light.locator("#print-table tbody tr").count(), 120);
  for (const selector of ["#theme", "#table", ".filters", "#timeline", ".card canvas >> nth=0"]) assert.ok(await light.isHidden(selector), selector);
  for (const selector of ["#headline", ".cause >> nth=0", "#print-table"]) assert.ok(await light.isVisible(selector), selector);
  assert.strictEqual(await back(light), "rgb(255, 255, 255)");
  await light.screenshot({ path: path.join(shots, "paper.png") });
  await light.evaluate(() => dispatchEvent(new Event("afterprint")));
  await light.pdf({ path: path.join(shots, "paper.pdf"), format: "A4" });
  await close(light);

  const dark = await open("fleet.html", { colorScheme: "dark", reducedMotion: "reduce" });
  colors.push(await back(dark));
  assert.ok(colors[0] !== colors[1] && colors[1] === colors[2], colors.join());
  await dark.evaluate(() => openServer(6));
  assert.strictEqual(await dark.evaluate(() => getComputedStyle($("server")).animationName), "none");
  await dark.keyboard.press("Escape");
  await see(dark, ".card canvas");
  await dark.screenshot({ path: path.join(shots, "dark.png"), fullPage: true });
  await close(dark);

  const phone = await open("fleet.html", { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true });
  assert.ok(await phone.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
  await see(phone, ".card canvas");
  await phone.screenshot({ path: path.join(shots, "phone.png"), fullPage: true });
  await phone.tap("#table-rows .row >> nth=0");
  assert.ok(await phone.evaluate(() => $("server").open && $("server").scrollWidth <= innerWidth));
  await phone.screenshot({ path: path.join(shots, "phone-server.png") });
  await close(phone);
});

test("axe finds nothing, in light and dark, with and without a server", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open("fleet.html", { colorScheme });
    await page.evaluate(fs.readFileSync(require.resolve("axe-core"), "utf8"));
    for (const server of [-1, 6]) {
      await page.evaluate((k) => openServer(k), server);
      await page.evaluate(() => Promise.all(document.getAnimations().map((a) => a.finished)));
      const found = await page.evaluate(async () => (await axe.run()).violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).slice(0, 3).join(" ")}`));
      assert.deepStrictEqual(found, [], colorScheme);
    }
    await close(page);
  }
});

test("10,000 servers by 6 metrics", async (t) => {
  const seen = [];
  for (const n of [1000, 10000]) {
    const name = `fleet${n}.html`;
    runFleet(n, "-p", "run=1", "--no-db", "--html", file(name));
    const page = await open(name);
    const counted = await page.evaluate(() => ({
      data: $("run-data").textContent.length, elements: document.querySelectorAll("*").length,
      rows: document.querySelectorAll("#table-rows .row").length, servers: table.order.length, metrics: metrics.length,
      begin: performance.getEntriesByName("muster-begin")[0].startTime, ready: performance.getEntriesByName("muster-ready")[0].startTime,
    }));
    const scrolled = await page.evaluate(async () => {
      const box = $("table"), frames = [];
      let rows = 0, right = true, last = performance.now();
      box.scrollIntoView();
      for (let k = 0; k < 60; k++) {
        box.scrollTop += k < 30 ? 97 : 7001;
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        rows = Math.max(rows, document.querySelectorAll("#table-rows .row").length);
        const first = Math.ceil(box.scrollTop / ROW), row = $(`row-${first}`);
        right = right && (first >= table.order.length || (row && row.firstChild.textContent === S.id[table.order[first]]));
        frames.push((performance.now() - last) / 2);
        last = performance.now();
      }
      return { rows, right, longest: Math.max(...frames) };
    });
    assert.ok(scrolled.right, "a row in sight is not the server's that stands there");
    seen.push({ ...counted, scrolledRows: scrolled.rows });
    t.diagnostic(`${n} servers by ${counted.metrics} metrics: page ${fs.statSync(file(name)).size} bytes, data ${counted.data}; script begins at ` +
      `${Math.round(counted.begin)} ms, ready at ${Math.round(counted.ready)} ms; longest frame of scrolling ${scrolled.longest.toFixed(1)} ms; ` +
      `${counted.elements} elements, ${scrolled.rows} rows`);
    await close(page);
  }
  const [small, large] = seen;
  assert.deepStrictEqual([large.servers, large.metrics], [10000, 6]);
  assert.strictEqual(large.scrolledRows, small.scrolledRows);
  assert.ok(large.rows < 60 && large.elements < small.elements + 200, JSON.stringify(seen));
  assert.ok(large.data < small.data * 11, `${large.data} bytes for ten times ${small.data}`);
});
