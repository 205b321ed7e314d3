// Sends rows with the TypeScript client, and tells what became of them as JSON.
//
//   typescript_ingest.mjs PACKAGE_DIRECTORY URL ARGUMENTS
//
// ARGUMENTS, in JSON: user, count, first, and options of `ingest`; times, of the rows; longIds, of which all have an event
// id of 200 letters; breakBehind, how many rows the source gives before it throws; badRow, which of them is none;
// pauseAt, behind how many rows it prints "paused" and goes on once it has read a line.
import { readSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [packageDirectory, url, given] = process.argv.slice(2);
const { createClient } = await import(pathToFileURL(`${packageDirectory}/dist/index.js`).href);
const { user, times, count = times.length, first = 0, longIds, breakBehind, badRow, pauseAt, ...options } = JSON.parse(given);
const ITEMS = ["85123A", "22423", "23084"];

let sourceLeft = false;
async function* rows() {
  try {
    for (let n = first; n < first + count; ++n) {
      if (n === breakBehind) throw new Error("interrupted");
      const row = { user, item: ITEMS[n % 3], time: times?.[n] ?? 1_323_432_000 + n, type: "view" };
      if (longIds) row.event_id = `${user} ${n}`.padEnd(200, "x");
      yield n + 1 === badRow ? null : row;
    }
  } finally {
    sourceLeft = true;
  }
}

let paused = false;
function onProgress(result) {
  if (pauseAt === undefined || paused || result.rows < pauseAt) return;
  paused = true;
  writeSync(1, "paused\n");
  readSync(0, Buffer.alloc(1));  // nothing of this process goes on meanwhile
}

const client = createClient(url, { token: "the token of operator", timeoutMs: 30_000 });
try {
  const result = await client.ingest(rows(), { ...options, onProgress });
  console.log(JSON.stringify({ ...result, paused }, (_, value) => typeof value === "bigint" ? Number(value) : value));
} catch (error) {
  console.log(JSON.stringify({ error: error.message, reason: error.reason, code: error.code, sourceLeft }));
}
