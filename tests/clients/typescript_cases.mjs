// All of cases.json by the TypeScript client.
//
//   typescript_cases.mjs PACKAGE_DIRECTORY CASES_FILE URL
//
// Prints what differs, and how many cases passed and failed.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [packageDirectory, casesFile, url] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${packageDirectory}/${path}`).href);
const { createClient, GroundswellError } = await load("dist/index.js");
const v1 = await load("dist/v1.js");
const { fromJson, toJson, createRegistry } = await load("node_modules/@bufbuild/protobuf/dist/esm/index.js");
const details = await load("dist/gen/google/rpc/error_details_pb.js");

const METHODS = [v1.RecommendationService, v1.InteractionService, v1.AdminService].flatMap((s) => s.methods);
const registry = createRegistry(...Object.values(details).filter((one) => one.kind === "message"));

function tokenOf(name) {
  return name === "nobody" ? undefined : `the token of ${name}`;
}

function at(value, path) {
  return path.split(".").reduce((held, step) => held[step], value);
}

// What earlier cases kept, in the place of its name.
function filledIn(value, kept) {
  if (typeof value === "string" && value.startsWith("$")) return kept[value.slice(1)];
  if (Array.isArray(value)) return value.map((one) => filledIn(one, kept));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, held]) => [name, filledIn(held, kept)]));
}

function isNothing(value) {
  return value === undefined || value === "" || value === 0 || value === false ||
    (typeof value === "object" && Object.keys(value).length === 0);
}

function expectHas(found, expected, where) {
  if (typeof expected !== "object") return expectSame(found, expected, where);
  if (Object.keys(expected).length === 0) {
    if (isNothing(found)) throw new Error(`${where} is empty: ${JSON.stringify(found)}`);
    return;
  }
  if (typeof found !== "object") throw new Error(`${where} is ${JSON.stringify(found)}`);
  if (Array.isArray(expected)) expectSame(found.length, expected.length, `${where}.length`);
  for (const [name, value] of Object.entries(expected)) expectHas(found[name], value, `${where}.${name}`);
}

function expectSame(found, expected, where) {
  if (found !== expected) throw new Error(`${where} is ${JSON.stringify(found)} and not ${JSON.stringify(expected)}`);
}

function expectError(error, expected) {
  expectSame(error instanceof GroundswellError, true, `instanceof GroundswellError of ${error.stack}`);
  expectSame(error.code, expected.code, "code");
  expectSame(error.reason, expected.reason, "reason");
  expectSame(error.message.endsWith(`[${expected.reason}]`), true, "the reason in the message");
  if (expected.field !== undefined) {
    expectSame(error.fieldViolations.map((one) => one.field).join(), expected.field, "field");
  }
  if (expected.metadata !== undefined) expectHas(error.metadata, expected.metadata, "metadata");
  expectSame(error.retryDelayMs !== undefined, expected.retry ?? false, "has a retryDelayMs");
}

function expectAnswer(answer, test) {
  if (test.answer !== undefined) expectHas(answer, test.answer, "answer");
  for (const [name, count] of Object.entries(test.counts ?? {})) expectSame(answer[name]?.length, count, `${name}.length`);
  for (const name of test.absent ?? []) expectSame(answer[name], undefined, name);
}

async function runIngest(client, test) {
  const { rows, ...options } = test.ingest;
  let result;
  try {
    result = await client.ingest(rows, options);
  } catch (error) {
    if (test.raises === undefined) throw error;
    return expectSame(error.name, test.raises, "the error's name");
  }
  expectSame(test.raises, undefined, "an error was to come, and not a result; it");
  expectHas({ ...result, lastOffset: Number(result.lastOffset) }, Object.fromEntries(
    Object.entries(test.result).filter(([, value]) => typeof value !== "object")), "result");
  expectSame(JSON.stringify(result.reasons), JSON.stringify(test.result.reasons ?? {}), "reasons");
}

async function run(test, kept) {
  const client = createClient(url, { token: tokenOf(test.as ?? "operator"), attempts: test.attempts ?? 3 });
  if (test.ingest !== undefined) return runIngest(client, test);
  const method = METHODS.find((one) => one.name === test.call);
  let message;
  try {
    for (let i = 0; i < (test.times ?? 1); ++i) {
      message = await client[method.localName](fromJson(method.input, test.request), { timeoutMs: test.timeoutMs ?? 30_000 });
    }
  } catch (error) {
    if (test.error === undefined) throw error;
    return expectError(error, test.error);
  }
  const answer = toJson(method.output, message, { registry });
  expectSame(test.error, undefined, "an error was to come, and not an answer; it");
  expectAnswer(answer, test);
  for (const [name, path] of Object.entries(test.keep ?? {})) kept[name] = at(answer, path);
}

const kept = {};
let passed = 0;
let failed = 0;
for (const test of JSON.parse(readFileSync(casesFile, "utf-8")).cases) {
  try {
    await run(filledIn(test, kept), kept);
    ++passed;
  } catch (error) {
    ++failed;
    console.log(`FAILED "${test.name}": ${error.message}`);
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
