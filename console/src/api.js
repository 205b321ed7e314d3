// Calls of the server that this page came from, in the Connect protocol (docs/http.md).

const READ_MS = 10_000;
const OPERATION_MS = 3_600_000;
const KEPT_CALLS = 200;

// Both end with the tab, and go nowhere but into calls of this origin.
export const session = {
  get token() {
    return sessionStorage.getItem("groundswell-token") ?? "";
  },
  set token(value) {
    sessionStorage.setItem("groundswell-token", value);
  },
  get namespace() {
    return sessionStorage.getItem("groundswell-namespace") ?? "";
  },
  set namespace(value) {
    sessionStorage.setItem("groundswell-namespace", value);
  },
};

// The newest calls of this page: {method, ms, error, timings}.
export const calls = [];

function keep(entry) {
  calls.push(entry);
  if (calls.length > KEPT_CALLS) calls.shift();
}

export class CallError extends Error {
  constructor(code, message, reason) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

function errorOf(status, text) {
  try {
    const body = JSON.parse(text);
    const reason = body.details?.find((d) => d.debug?.reason)?.debug.reason;
    return new CallError(body.code, body.message, reason);
  } catch {
    return new CallError(`http_${status}`, text.slice(0, 500));
  }
}

async function call(service, method, message, timeoutMs) {
  const headers = { "Content-Type": "application/json", "Connect-Protocol-Version": "1" };
  headers["Connect-Timeout-Ms"] = String(timeoutMs);
  if (session.token) headers.Authorization = `Bearer ${session.token}`;
  const body = JSON.stringify(
    session.namespace ? { namespace: session.namespace, ...message } : message,
  );
  const begin = performance.now();
  let error = null;
  let answer = null;
  try {
    const response = await fetch(`../groundswell.v1.${service}/${method}`, {
      method: "POST",
      headers,
      body,
      // Not "omit", which leaves the browser's TLS certificate out.
      credentials: "same-origin",
    });
    const text = await response.text();
    if (response.ok) answer = JSON.parse(text);
    else error = errorOf(response.status, text);
  } catch (e) {
    error = new CallError("unavailable", `the server does not answer: ${e.message}`);
  }
  keep({ method, ms: performance.now() - begin, error, timings: answer?.timings });
  if (error) throw error;
  return answer;
}

// A UUID. Pages by plain HTTP have no crypto.randomUUID, but those of the browser's own machine.
function newUuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

const read = (method) => (message) => call("RecommendationService", method, message, READ_MS);
const look = (method) => (message = {}) => call("AdminService", method, message, READ_MS);
const operate = (method) => (message = {}) =>
  call("AdminService", method, { requestId: newUuid(), ...message }, OPERATION_MS);

export const recommend = read("Recommend");
export const traceRecommend = read("TraceRecommend");
export const similarItems = read("SimilarItems");
export const getUserState = read("GetUserState");
export const getServerStatus = look("GetServerStatus");
export const getBlend = look("GetBlend");
export const getListRules = look("GetListRules");
export const listSnapshots = look("ListSnapshots");
export const createCheckpoint = operate("CreateCheckpoint");
export const verifyGraph = operate("VerifyGraph");
export const createBackup = operate("CreateBackup");
export const activateSnapshot = operate("ActivateSnapshot");
export const rollBackSnapshot = operate("RollBackSnapshot");
