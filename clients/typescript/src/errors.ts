// What a call can end with besides an answer.
import { createRegistry } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { errorFromJson } from "@connectrpc/connect/protocol-connect";

import type { Status } from "./gen/google/rpc/status_pb.js";
import {
  BadRequestSchema, ErrorInfoSchema, PreconditionFailureSchema, ResourceInfoSchema, RetryInfoSchema,
} from "./gen/google/rpc/error_details_pb.js";

/** The codes of gRPC, by number. */
const CODES = [
  "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
  "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
] as const;

export type CodeName = Exclude<(typeof CODES)[number], "OK">;

/** What the server names in its errors; those of a newer one may be others. */
export const REASONS = [
  "ALREADY_TRAINED", "ANSWER_TOO_LARGE", "CATALOGUE_FULL", "CLOCK_AHEAD", "CLOCK_JUMPED", "CREDENTIALS_MISSING",
  "CREDENTIALS_UNKNOWN", "DRAINING", "EMBEDDING_MISSING", "EMBEDDING_ZERO", "ETAG_MISMATCH", "EVENT_ID_REUSED", "INVALID_FIELD",
  "ITEM_UNKNOWN", "LOG_CUT", "LOG_FULL", "LOG_IS_SHARED", "NAMESPACE_UNKNOWN", "NO_SNAPSHOT", "NO_SNAPSHOT_BEFORE", "OVERLOADED",
  "PAGE_TOKEN_EXPIRED", "RANKER_MISSING", "RANKER_UNKNOWN", "RATE_LIMITED", "REQUEST_TOO_LARGE", "RIGHT_MISSING",
  "SEQUENCE_GAP", "SNAPSHOT_GONE", "STALE_STATE", "UNDECODABLE_REQUEST", "USER_NOT_SCORED", "USER_UNKNOWN",
] as const;

/** One of REASONS; of an error without one, the name of its code. */
export type Reason = (typeof REASONS)[number] | CodeName | (string & {});

export interface FieldViolation {
  readonly field: string;
  readonly description: string;
}

/** Any error of a call. Its `message` is the server's with the reason in brackets. */
export class GroundswellError extends Error {
  override readonly name = "GroundswellError";

  constructor(
    readonly code: CodeName,
    message: string,
    readonly reason: Reason = code,
    /** Of the ErrorInfo: {field: "page_size"}, {item: "x"} ... */
    readonly metadata: Readonly<Record<string, string>> = {},
    readonly fieldViolations: readonly FieldViolation[] = [],
    /** When to try again, in milliseconds, where that may help. */
    readonly retryDelayMs?: number,
  ) {
    super(`${message} [${reason}]`);
  }
}

/** For the details of errors in JSON. */
export const details = createRegistry(
  BadRequestSchema, ErrorInfoSchema, PreconditionFailureSchema, ResourceInfoSchema, RetryInfoSchema);

function made(
  code: number, message: string, info: { reason: string; metadata: Record<string, string> } | undefined,
  violations: readonly FieldViolation[],
  delay: { seconds: bigint; nanos: number } | undefined,
): GroundswellError {
  const name = CODES[code];
  return new GroundswellError(
    name === undefined || name === "OK" ? "UNKNOWN" : name, message, info?.reason || undefined, info?.metadata,
    violations.map(({ field, description }) => ({ field, description })),
    delay === undefined ? undefined : Number(delay.seconds) * 1000 + Math.ceil(delay.nanos / 1e6));
}

/** The error that a google.rpc.Status, such as a refusal's, stands for. */
export function ofStatus(status: Status): GroundswellError {
  const unpacked = status.details.map((detail: Any) => anyUnpack(detail, details));
  const find = (name: string): any => unpacked.find((message) => message?.$typeName === `google.rpc.${name}`);
  return made(status.code, status.message, find("ErrorInfo"), find("BadRequest")?.fieldViolations ?? [],
    find("RetryInfo")?.retryDelay);
}

/** What lies below an error of fetch, which says no more than "fetch failed" itself. */
function causesOf(error: Error): string {
  const cause: any = error.cause;
  if (!(cause instanceof Error)) return error.message;
  return `${error.message}: ${cause.message || (cause as { code?: string }).code || cause.name}`;
}

/** The error that one of Connect's, or any other, stands for. `url`: whom the call was for. */
export function ofConnect(cause: unknown, url?: string): GroundswellError {
  if (cause instanceof GroundswellError) return cause;
  const error = ConnectError.from(cause);
  const ofFetch = [cause, error.cause].find((one) => one instanceof TypeError);
  if (ofFetch !== undefined && url !== undefined) {
    return made(CODES.indexOf("UNAVAILABLE"), `no answer from ${url} (${causesOf(ofFetch)}): is this ` +
      "server.connect_address?", undefined, [], undefined);
  }
  const code = ofFetch === undefined ? error.code : CODES.indexOf("UNAVAILABLE");
  const violations = error.findDetails(BadRequestSchema)[0]?.fieldViolations ?? [];
  return made(code, error.rawMessage, error.findDetails(ErrorInfoSchema)[0], violations,
    error.findDetails(RetryInfoSchema)[0]?.retryDelay);
}

const TEXT_SHOWN = 200;
/** By the status of HTTP the code, where the answer has none: a proxy's page, or the server's short word to
 * one connection or body too many. */
const CODES_OF_HTTP: Readonly<Record<number, CodeName>> = {
  400: "INTERNAL", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "UNIMPLEMENTED", 429: "UNAVAILABLE",
  502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "UNAVAILABLE",
};

/** The error that an answer of HTTP stands for: one of Connect's as JSON, or any text. */
export function ofHttp(status: number, text: string): GroundswellError {
  const said = `HTTP status ${status}: ${text.trim().slice(0, TEXT_SHOWN)}`;
  if (status === 413) {
    return new GroundswellError("INVALID_ARGUMENT", `${said}: the request is longer than server.message_bytes_max, or ` +
      "than a proxy lets through; lower batchSize, or raise that", "REQUEST_TOO_LARGE");
  }
  const otherwise = new ConnectError(said, CODES.indexOf(CODES_OF_HTTP[status] ?? "UNKNOWN"));
  try {
    return ofJson(JSON.parse(text), otherwise);
  } catch {
    return ofConnect(otherwise);
  }
}

/** The error of Connect's that `json` is, and `otherwise` where it is none. */
export function ofJson(json: any, otherwise = new ConnectError("the server tells of an error, and not which")): GroundswellError {
  if (typeof json?.code !== "string") return ofConnect(otherwise);
  try {
    return ofConnect(errorFromJson(json, undefined, otherwise));
  } catch {
    return ofConnect(otherwise);
  }
}
