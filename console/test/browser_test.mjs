// The console in a real browser, on a real server: each screen shows the figures of the command
// line, is used by keyboard alone, and has nothing that axe-core objects to.
//
//   browser_test.mjs SETTINGS.json
//
// tests/integration/console_browser_test.py starts the servers and writes the settings.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

const settings = JSON.parse(readFileSync(process.argv[2], "utf8"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const USER = "17850";
const SHOT_BYTES_MAX = 150 * 1024;
// Another machine to the browser, whose pages it then takes for less safe than those of this one.
const REMOTE = "console.test";
const ARGUMENTS = ["--no-sandbox", "--disable-gpu", `--host-resolver-rules=MAP ${REMOTE} 127.0.0.1`];
const WAIT = { timeout: 60_000 };
// Another snapshot's graph and index are built, without optimisation where the server is.
const OPERATION = { timeout: 240_000 };

let browser;
let context;
let page;
const requests = [];
const complaints = [];

async function newPage(options = {}) {
  context = await browser.newContext({ viewport: { width: 1100, height: 760 }, reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(WAIT.timeout);
  const made = await context.newPage();
  made.on("request", (request) => requests.push(request.url()));
  made.on("pageerror", (error) => complaints.push(String(error)));
  made.on("console", (message) => {
    // What a policy forbids is told here too. A refused call is an answer like others.
    const refused = message.location().url.includes("/groundswell.v1.");
    // So is that a header which only HTTPS has a use for came by plain HTTP.
    const ignored = message.location().url.includes(REMOTE) && message.text().startsWith("The Cross-Origin-Opener-Policy header has been ignored");
    if (message.type() === "error" && !refused && !ignored) complaints.push(message.text());
  });
  return made;
}

before(async () => {
  browser = await chromium.launch({ executablePath: settings.chromium, args: ARGUMENTS });
  page = await newPage();
});
after(async () => browser?.close());

const cli = (...words) =>
  JSON.parse(execFileSync(settings.cli, ["--server", settings.grpc, "--timeout-ms", "60000", "--json", ...words], { encoding: "utf8" }));

async function show(address, ready, on = page) {
  await on.goto("about:blank");
  await on.goto(`${settings.console}#/${address}`);
  await on.locator(ready).first().waitFor(WAIT);
}

// {title: text} of a set of figures, and the rows of a table as lists of texts.
const figures = (name) =>
  page.$eval(`[data-figures="${name}"]`, (list) =>
    Object.fromEntries([...list.children].map((pair) => [pair.children[0].textContent, pair.children[1].textContent])));
const rows = (name, root = page) =>
  root.locator(`[data-table="${name}"] tbody tr`).evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.textContent)));

// As the console writes them; the figures themselves are the command line's.
const count = (value) => Number(value).toLocaleString("en");
const score = (value) => Number(value).toFixed(4);
const signed = (value) => `${value < 0 ? "\u2212" : "+"}${Math.abs(value).toFixed(4)}`;
const percent = (value) => `${(100 * value).toFixed(1)}%`;
const time = (value) => value.replace("T", " ").replace(/\.\d+Z$/, "Z");
const source = (value) => value.replace("CANDIDATE_SOURCE_", "").toLowerCase().replaceAll("_", "-");
const listRows = (items) =>
  items.map((item, i) => [String(i + 1), item.item_id, item.title, item.category, score(item.score), item.sources.map(source).join(", ")]);
const shortRows = (items) => items.map((item, i) => [String(i + 1), item.item_id, item.title, score(item.score)]);

// Nothing is wrong for those who see little or nothing, by day and by night; and all that can be used is
// reached by the Tab key, in the order of the page.
async function accessible(name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(`${axe}; undefined`);
    const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
    assert.deepEqual(found.violations.map((v) => [v.id, v.nodes.map((n) => n.html).slice(0, 3)]), [], `${name}, ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
  const missed = await page.evaluate(() => {
    const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")];
    globalThis.unreached = new Set(all.filter((e) => !e.disabled && e.checkVisibility()));
    document.activeElement.blur();
    document.addEventListener("focusin", (e) => globalThis.unreached.delete(e.target));
    return globalThis.unreached.size;
  });
  for (let i = 0; i < missed + 2; ++i) await page.keyboard.press("Tab");
  const left = await page.evaluate(() => [...globalThis.unreached].map((e) => e.outerHTML.slice(0, 120)));
  assert.deepEqual(left, [], `${name}: not reached by Tab`);
}

async function shoot(name, top = "header", height = 760) {
  const path = `${settings.screenshots}/${name}.png`;
  await page.evaluate((first) => {
    document.activeElement.blur();
    document.querySelector(first).scrollIntoView();
  }, top);
  await page.screenshot({ path, clip: { x: 0, y: 0, width: 1100, height } });
  assert.ok(statSync(path).size < SHOT_BYTES_MAX, `${path} has ${statSync(path).size} bytes`);
}

test("Overview has the figures of status and blend", async () => {
  await show("overview", "[data-figures=graph]");
  await page.getByLabel("Look again every 2 s").uncheck();
  const status = cli("status");
  const blend = cli("blend");
  const graph = await figures("graph");
  assert.equal(graph["In the log, up to"], count(status.graph.log_end_offset));
  assert.equal(graph["Applied, up to"], count(status.graph.applied_offset));
  assert.equal(graph["Still to be applied"], "0");
  assert.equal(graph["Newest event"], time(status.graph.newest_event_time));
  assert.equal(graph.Users, count(status.graph.users));
  assert.equal(graph.Edges, count(status.graph.edges));
  assert.equal(graph.Digest, status.graph.digest);
  const snapshot = await figures("snapshot");
  assert.equal(snapshot.Snapshot, status.snapshot.version);
  assert.equal(snapshot["Trained items"], count(status.snapshot.items));
  assert.equal(snapshot.Rankers, status.snapshot.rankers.join(", "));
  const server = await figures("server");
  assert.deepEqual([server.Version, server.Namespace, server.Index], [status.server_version, status.namespace, status.index_kind]);
  const judged = await rows("quality");
  assert.ok(blend.lists.length > 3, "interactions have been judged");
  assert.deepEqual(judged.map((row) => row.filter((_, i) => i !== 3)), blend.lists.map((list) => [
    list.list, count(list.interaction_count), percent(list.hit_rate), score(list.ndcg), percent(list.served_hit_rate), percent(list.served_hit_share)]));
  assert.ok((await rows("calls")).some((row) => row[0] === "GetServerStatus"));
  await accessible("Overview");
  await shoot("overview");
});

test("User has the figures of user and recommend", async () => {
  await show(`user?user=${USER}`, "[data-table=list]");
  const state = cli("user", USER, "-n", "20");
  const list = cli("recommend", USER, "-n", "20");
  const told = await figures("user");
  assert.equal(told["Items taken"], count(state.distinct_items));
  assert.equal(told["Counts together"], count(state.total_count));
  assert.equal(told.Cluster, String(state.user_cluster));
  assert.equal(told["Up to offset"], count(state.freshness.applied_offset));
  assert.deepEqual(await rows("history"), state.recent_items.map((item) => [
    item.item_id, item.title, item.category, String(item.item_cluster), count(item.count), time(item.last_time)]));
  for (const [name, values] of [["one-hop", state.one_hop], ["two-hop", state.two_hop]]) {
    const bars = (await rows(name)).map((row) => row.slice(0, 2));
    assert.deepEqual(bars, values.map((v, node) => [String(node), count(v)]).filter((row) => row[1] !== "0"), name);
    const widths = await page.locator(`[data-table="${name}"] rect`).evaluateAll((all) => all.map((r) => Number(r.getAttribute("width"))));
    const most = Math.max(...values.map(Number));
    assert.deepEqual(widths.map((w) => Math.round(w)), values.map(Number).filter((v) => v !== 0).map((v) => Math.round((100 * v) / most)));
  }
  assert.deepEqual(await rows("list"), listRows(list.items));
  await accessible("User");
  await shoot("user");
});

test("Graph has every edge of user, drawn and in tables", async () => {
  await show(`graph?user=${USER}&n=15`, "[data-table=edges-two]");
  const state = cli("user", USER, "-n", "15");
  const taken = state.recent_items;
  const nodes = (values, name) => values.map((v, node) => [USER, `${name} node ${node}`, count(v)]).filter((row) => row[2] !== "0");
  assert.deepEqual(await rows("edges-taken"), taken.map((item) => [USER, `${item.item_id} (item node ${item.item_cluster})`, count(item.count)]));
  assert.deepEqual(await rows("edges-one"), nodes(state.one_hop, "item"));
  assert.deepEqual(await rows("edges-two"), nodes(state.two_hop, "user"));
  const drawn = (name) => page.locator(`[data-edges=${name}] line`).count();
  assert.deepEqual([await drawn("taken"), await drawn("belongs"), await drawn("others")], [taken.length, taken.length, nodes(state.two_hop, "user").length]);
  await accessible("Graph");
  await show(`graph?user=${USER}&n=6`, "[data-table=edges-two]");
  await shoot("graph", "header", 420);
});

test("User follows events while they arrive", async () => {
  await show("user?user=console-visitor-2", "[data-figures=user]");
  await page.getByLabel("Look again every second").check();
  const before = Number((await figures("user"))["Counts together"]);
  const sent = await fetch(new URL("../groundswell.v1.InteractionService/RecordInteraction", settings.console), {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ interaction: { eventId: "console-live", userId: "console-visitor-2", itemId: "22423", eventType: "purchase", eventTime: settings.later } }),
  });
  assert.equal(sent.status, 200, await sent.text());
  await page.locator(`[data-figures=user] dd:text-is("${before + 1}")`).first().waitFor(WAIT);
  await page.getByLabel("Look again every second").uncheck();
});

test("Why has the list, the causes and the terms of recommend --explain", async () => {
  await show(`why?user=${USER}&n=20&explain=10`, "[data-table=list]");
  const answer = cli("recommend", USER, "-n", "20", "--explain", "10");
  assert.deepEqual(await rows("list"), listRows(answer.items));
  const told = await figures("answer");
  assert.deepEqual([told.Ranker, told.Snapshot], [answer.ranker, answer.snapshot_version]);
  assert.equal(await page.locator(".explained").count(), 10);
  assert.match(await page.locator("main").innerText(), new RegExp(`${answer.explanation_causes.tried} of ${answer.explanation_causes.known} causes were tried`));
  for (const item of answer.items.slice(0, 10)) {
    const explained = page.locator(`.explained[data-item="${item.item_id}"]`);
    assert.deepEqual((await rows("causes", explained)).map((row) => row[1]), item.explanations.map((e) => signed(e.contribution)));
    assert.deepEqual((await rows("terms", explained)).map((row) => row.slice(0, 2)), item.blend_terms.map((t) => [t.feature, signed(t.contribution)]));
  }
  await page.locator(".explained summary").first().click();
  await accessible("Why");
  await shoot("why");
  await shoot("why-reasons", ".explained", 460);
});

async function traced(item) {
  await show(`why?user=${USER}&n=20&explain=1&item=${encodeURIComponent(item)}`, `[data-traced="${item}"]`);
  return page.locator("[data-traced] p").first().innerText();
}

test("Why tells where any item stands, as recommend and rank do", async () => {
  const { items } = cli("recommend", USER, "-n", "100");
  for (const place of [1, 20, 60]) {
    const item = items[place - 1];
    assert.match(await traced(item.item_id), new RegExp(`^It is in the list, at place ${place}[.:]`));
    const told = await figures("traced");
    const ranked = cli("rank", USER, item.item_id);
    assert.deepEqual([told["Place in the list"], told["Ranker's score"]], [String(place), `${score(ranked.items[0].score)} (${ranked.ranker})`]);
    const proposing = (await rows("places")).filter((row) => /^\d+$/.test(row[1])).map((row) => row[0]);
    assert.deepEqual(proposing.sort(), item.sources.map(source).sort(), item.item_id);
  }
  await accessible("Why, one item");
  await shoot("why-not", "[data-traced]", 700);
  const withSeen = cli("recommend", USER, "-n", "100", "--include-seen").items;
  const taken = withSeen.findIndex((item) => items.every((other) => other.item_id !== item.item_id) && item.sources.includes("CANDIDATE_SOURCE_HISTORY"));
  assert.ok(taken >= 0);
  assert.equal(await traced(withSeen[taken].item_id), "The user has taken it.");
  assert.equal(await traced("no such item"), "There is no item no such item in the catalogue.");
});

test("What is left out of a list is told", async () => {
  await show("why?user=nobody-knows-me&n=5", "[data-table=list]");
  const answer = cli("recommend", "nobody-knows-me", "-n", "5");
  assert.equal(answer.fallback_reason, "FALLBACK_REASON_UNKNOWN_USER");
  assert.match(await page.locator("[data-warnings]").innerText(), /fallback: unknown-user/);
});

function moveText(before, after) {
  return after.map((item, i) => {
    const place = before.findIndex((other) => other.item_id === item.item_id);
    if (place < 0) return "new";
    return place === i ? "same" : place > i ? `\u2191 ${place - i}` : `\u2193 ${i - place}`;
  });
}

async function sideBySide(left, right) {
  assert.deepEqual((await rows("left")).map((row) => row.slice(0, 4)), shortRows(left));
  assert.deepEqual((await rows("right")).map((row) => row.slice(0, 4)), shortRows(right));
  assert.deepEqual((await rows("right")).map((row) => row[4]), moveText(left, right));
  const gone = left.map((item) => (right.some((other) => other.item_id === item.item_id) ? "" : "gone"));
  assert.deepEqual((await rows("left")).map((row) => row[4]), gone);
}

test("Compare has both lists of the command line, and the moves", async () => {
  await show(`compare?user=${USER}&n=20&rankerA=macgnn&rankerB=dot`, "[data-table=right]");
  await sideBySide(cli("recommend", USER, "-n", "20", "--ranker", "macgnn").items, cli("recommend", USER, "-n", "20", "--ranker", "dot").items);
  await accessible("Compare");
  await shoot("compare");
});

test("What if has both lists of the command line, and the moves", async () => {
  await show(`what-if?user=${USER}&n=20&events=22423:purchase,85123A:view`, "[data-table=right]");
  await sideBySide(cli("recommend", USER, "-n", "20").items, cli("recommend", USER, "-n", "20", "--what-if", "22423:purchase,85123A:view").items);
  assert.deepEqual((await rows("events")).map((row) => row[0]), ["22423", "85123A"]);
  await accessible("What if");
  await shoot("what-if");
  await page.getByRole("button", { name: "Remove 22423:purchase" }).click();
  await page.locator("[data-table=events] tbody tr:only-child").waitFor(WAIT);
  assert.match(page.url(), /events=85123A%3Aview$/);
});

test("Items has the figures of similar", async () => {
  await show("items?item=85123A&n=15", "[data-table=similar]");
  const answer = cli("similar", "85123A", "-n", "15");
  assert.deepEqual(await rows("similar"), answer.items.map((item, i) => [String(i + 1), item.item_id, item.title, item.category, score(item.score)]));
  await accessible("Items");
  await shoot("items");
});

test("All is done by keyboard", async () => {
  await show("overview", "[data-figures=graph]");
  const focused = () => page.evaluate(() => document.activeElement.textContent || document.activeElement.labels?.[0]?.textContent);
  const tabTo = async (text) => {
    for (let i = 0; i < 60; ++i) {
      await page.keyboard.press("Tab");
      if ((await focused())?.trim() === text) return;
    }
    assert.fail(`Tab does not reach ${text}`);
  };
  await tabTo("Skip to the content");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "content");
  await page.keyboard.press("Shift+Tab");
  await show("overview", "[data-figures=graph]");
  await tabTo("What if");
  await page.keyboard.press("Enter");
  await page.locator("h1:text-is('What if')").waitFor(WAIT);
  assert.equal(await focused(), "What if");
  await tabTo("User");
  await page.keyboard.type(USER);
  await page.keyboard.press("Enter");
  await page.locator("[data-table=left]").waitFor(WAIT);
  await tabTo("Item");
  await page.keyboard.type("22423");
  await page.keyboard.press("Enter");
  await page.locator("[data-table=events] tbody tr").waitFor(WAIT);
  assert.deepEqual((await rows("events")).map((row) => row.slice(0, 2)), [["22423", "purchase"]]);
});

// Writes other names where the page shows a place of this machine, for the picture alone.
async function callPlaces(names) {
  await page.evaluate((all) => {
    const called = (text) => all.reduce((t, [place, name]) => t.replaceAll(place, name), text);
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) walker.currentNode.data = called(walker.currentNode.data);
    for (const input of document.querySelectorAll("input")) input.value = called(input.value);
  }, names);
}

async function confirm(button, word) {
  const form = page.locator("form.confirmed", { has: page.getByRole("button", { name: button, exact: true }) });
  const go = form.getByRole("button", { name: button, exact: true });
  assert.ok(await go.isDisabled(), `${button} waits for its word`);
  await form.getByRole("textbox").fill(`${word}x`);
  assert.ok(await go.isDisabled(), `${button} takes no other word`);
  await form.getByRole("textbox").fill(word);
  await form.getByRole("textbox").press("Enter");
}

test("Operations does what the command line would, and says the same", async () => {
  const other = settings.other_snapshot;
  const done = async (title) => {
    await page.locator(`[data-done="${title}"] [data-figures=done]`).waitFor(OPERATION);
    return figures("done");
  };
  await show("operations", "[data-table=snapshots]");
  await page.getByRole("button", { name: "Verify every counter" }).click();
  const verified = await done("The verification");
  const verify = cli("verify");
  assert.deepEqual([verified.Digest, verified.Differences, verified["Counters compared"], verified.Edges],
    [verify.digest, "0", count(verify.counter_count), count(verify.edge_count)]);
  await page.getByRole("button", { name: "Write a checkpoint" }).click();
  const checkpoint = await done("The checkpoint");
  assert.equal(checkpoint.Offset, count(cli("status").graph.checkpoint.offset));
  await page.getByLabel("Directory of the backup").fill(settings.backup);
  await page.getByRole("button", { name: "Back up" }).click();
  assert.equal((await done("The backup")).Directory, settings.backup);
  assert.ok(statSync(settings.backup).isDirectory());

  const was = cli("status").snapshot.version;
  await page.getByLabel("Directory of a snapshot").fill(other);
  await page.getByRole("button", { name: "Validate" }).click();
  const checked = await done("The check");
  assert.equal(checked.Snapshot, "online-retail@other");
  assert.equal(cli("status").snapshot.version, was);
  await confirm("Activate", "activate");
  await done("The activation");
  assert.equal(cli("status").snapshot.version, "online-retail@other");
  const told = async () => (await rows("snapshots")).map((row) => [row[0], row[1], row[3]]);
  const listed = () => cli("snapshots").snapshots.map((s) => [s.version, s.state.replace("SNAPSHOT_STATE_", "").toLowerCase(), s.directory]);
  await page.locator("[data-table=snapshots] tbody tr:nth-child(2)").waitFor(WAIT);
  assert.deepEqual(await told(), listed());
  await accessible("Operations");
  await callPlaces([[settings.snapshot, "/srv/snapshots/2011-11-11"], [other, "/srv/snapshots/other"], [settings.backup, "/var/backups/monday"]]);
  await shoot("operations");
  await confirm("Roll back", was);
  await done("The roll back");
  assert.equal(cli("status").snapshot.version, was);

  await page.getByLabel("Directory of a snapshot").fill("/nowhere");
  await page.getByRole("button", { name: "Validate" }).click();
  await page.locator('[data-done="The check"] [role=alert]').waitFor(WAIT);
});

test("Rights are those of the token, which stays in the tab", async () => {
  page = await newPage();
  const open = async (address, ready) => {
    await page.goto("about:blank");
    await page.goto(`${settings.guarded_console}#/${address}`);
    await page.locator(ready).first().waitFor(WAIT);
  };
  await open(`user?user=${USER}`, "[role=alert]");
  assert.match(await page.locator("[role=alert]").innerText(), /^unauthenticated/);
  await page.locator(".caller summary").click();
  await page.getByLabel("Token", { exact: true }).fill("secret-of-the-shop");
  await page.getByLabel("Token", { exact: true }).press("Enter");
  await page.locator("[data-table=list]").waitFor(WAIT);
  assert.ok(!page.url().includes("secret"));
  assert.deepEqual(await page.evaluate(() => [localStorage.length, document.cookie]), [0, ""]);
  await open("overview", "[role=alert]");
  assert.match(await page.locator("[role=alert]").innerText(), /^permission_denied/);
  const errors = await rows("errors");
  assert.ok(errors.some((row) => row[1] === "permission_denied"));
  page = await newPage();
  await open(`user?user=${USER}`, "[role=alert]");
});

test("Operations goes by plain HTTP from another machine, and with what the browser has to say who it is", async () => {
  page = await newPage();
  const remote = new URL(settings.console);
  remote.hostname = REMOTE;
  // As a TLS certificate, which goes along by the same rule.
  await context.addCookies([{ name: "who", value: "me", url: remote.origin }]);
  await page.goto(`${remote}#/operations`);
  assert.equal(await page.evaluate(() => isSecureContext), false);
  const asked = page.waitForRequest(/VerifyGraph$/);
  await page.getByRole("button", { name: "Verify every counter" }).click();
  await page.locator('[data-done="The verification"] [data-figures=done]').waitFor(OPERATION);
  const request = await asked;
  assert.match(JSON.parse(request.postData()).requestId, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.equal((await request.allHeaders()).cookie, "who=me");
});

test("Nothing was asked of another server, and no browser complained", () => {
  const origins = new Set(requests.filter((url) => !url.startsWith("about:")).map((url) => new URL(url).origin));
  const own = new URL(settings.console);
  const expected = [own.origin, new URL(settings.guarded_console).origin, `http://${REMOTE}:${own.port}`];
  assert.deepEqual([...origins].sort(), expected.sort());
  assert.deepEqual(complaints, []);
});
