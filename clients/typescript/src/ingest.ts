// How rows get into the log, each counted once, through full queues, broken connections and restarts of the
// server. What was sent and not acknowledged is kept and sent again; event ids, or the sequence of a
// producer, make that harmless.
import { create, fromJson, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { errorFromJson } from "@connectrpc/connect/protocol-connect";

import { GroundswellError, details, ofConnect, ofStatus } from "./errors.js";
import type { IngestRequest, IngestResponse, Interaction } from "./gen/groundswell/v1/interaction_pb.js";
import { IngestRequestSchema, IngestResponseSchema } from "./gen/groundswell/v1/interaction_pb.js";
import type { Columns, Row } from "./rows.js";
import { ToInteractions, contentHash } from "./rows.js";
import { sleep } from "./retry.js";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;
const REFUSALS_KEPT = 100;

export interface IngestOptions {
  readonly columns?: Columns;
  /** For rows without one. */
  readonly eventType?: string;
  /** The server keeps how far it is with the rows of this producer: a later run goes on from there. */
  readonly producerId?: string;
  /** The number of the first row, for callers who count themselves. */
  readonly firstSequence?: number;
  /** Rows in a message, 1 to 1,000; 200 by default. */
  readonly batchSize?: number;
  /** Messages in one request, 1 to 100; 8 by default. */
  readonly inflightMax?: number;
  /** How long to try without an acknowledgement, in milliseconds; 60,000 by default. */
  readonly retryForMs?: number;
  readonly onProgress?: (result: IngestResult) => void;
}

/** A row, from 1, that the server refused for good, and why. */
export interface Refusal {
  readonly row: number;
  readonly error: GroundswellError;
}

/** What became of the rows. Every row up to `rows` is dealt with, durably. */
export interface IngestResult {
  rows: number;
  /** Rows that the server had of an earlier run; not sent. */
  passedOver: number;
  accepted: number;
  duplicates: number;
  refused: number;
  /** How many were refused for which reason, and the first hundred of them. */
  readonly reasons: Record<string, number>;
  readonly refusals: Refusal[];
  lastOffset: bigint;
  /** Hand this to `recommend` to read one's own writes. */
  consistencyToken: string;
}

/** What came back: an HTTP status, and lines. */
export interface AnsweredLines {
  readonly status: number;
  readonly text: string;
}

/** Sends lines. Throws GroundswellError where nothing came back. */
export type SendLines = (body: string, timeoutMs: number) => Promise<AnsweredLines>;

interface Batch {
  readonly request: IngestRequest;
  readonly rows: readonly number[];
}

function isForNow(error: GroundswellError): boolean {
  return error.code === "RESOURCE_EXHAUSTED" || error.code === "UNAVAILABLE";
}

function isWorthARetry(error: GroundswellError): boolean {
  return isForNow(error) || ["ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "UNKNOWN"].includes(error.code) ||
    error.reason === "SEQUENCE_GAP";
}

/** Acknowledgements, one for each line that was sent, in order, until there is an error, which is thrown. */
async function* answers(send: SendLines, requests: readonly IngestRequest[], timeoutMs: number):
    AsyncGenerator<IngestResponse> {
  const { status, text } = await send(
    requests.map((request) => toJsonString(IngestRequestSchema, request)).join("\n"), timeoutMs);
  const failed = (json: unknown): GroundswellError => ofConnect(errorFromJson(
    json as Parameters<typeof errorFromJson>[0], undefined,
    new ConnectError(`HTTP status ${status}`, Code.Unknown)));
  if (status !== 200) {
    let json: unknown = null;
    try {
      json = JSON.parse(text);
    } catch {
      // A proxy's page.
    }
    throw failed(json);
  }
  for (const line of text.split("\n")) {
    if (line === "") continue;
    let json;
    try {
      json = JSON.parse(line);
    } catch {
      throw new GroundswellError("ABORTED", "the answer was cut");
    }
    if (json.error !== undefined) throw failed(json.error);
    yield fromJson(IngestResponseSchema, json, { registry: details, ignoreUnknownFields: true });
  }
}

/** The number of the last interaction of this producer that is dealt with; 0: none is. */
export async function lastSequence(send: SendLines, namespace: string, producerId: string, timeoutMs: number):
    Promise<number> {
  for await (const answer of answers(send, [create(IngestRequestSchema, { namespace, producerId })], timeoutMs)) {
    return Number(answer.lastSequence);
  }
  throw new GroundswellError("ABORTED", "the server answered with nothing");
}

function within(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`${name} is ${value}; it must be ${least} to ${most}`);
}

export class Ingest {
  readonly result: IngestResult = {
    rows: 0, passedOver: 0, accepted: 0, duplicates: 0, refused: 0, reasons: {}, refusals: [], lastOffset: 0n,
    consistencyToken: "",
  };
  readonly #toInteractions: ToInteractions;
  readonly #batchSize: number;
  readonly #inflightMax: number;
  readonly #retryForMs: number;
  readonly #firstSequence: number;
  #producer = "";
  #knownSequence = 0;
  readonly #window: Batch[] = [];  // read, and not acknowledged
  #exhausted = false;
  #sourceError: unknown;
  #pauseMs = 0;
  #waitingSince = Date.now();
  #whyBroken: GroundswellError | undefined;  // since the last acknowledgement

  constructor(readonly send: SendLines, readonly namespace: string, readonly options: IngestOptions) {
    this.#toInteractions = new ToInteractions(options.columns ?? {}, options.eventType);
    this.#batchSize = within("batchSize", options.batchSize ?? 200, 1, 1_000);
    this.#inflightMax = within("inflightMax", options.inflightMax ?? 8, 1, 100);
    this.#retryForMs = within("retryForMs", options.retryForMs ?? 60_000, 1, 86_400_000);
    this.#firstSequence = within("firstSequence", options.firstSequence ?? 1, 1, Number.MAX_SAFE_INTEGER);
    if (options.firstSequence !== undefined && options.producerId === undefined) {
      throw new TypeError("firstSequence needs a producerId");
    }
  }

  async run(source: Iterable<Row> | AsyncIterable<Row>): Promise<IngestResult> {
    const rows = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
    while (!this.#exhausted || this.#window.length > 0) {
      while (!this.#exhausted && this.#window.length < this.#inflightMax) await this.#readBatch(rows);
      if (this.#window.length > 0) await this.#sendWindow();
    }
    if (this.#sourceError !== undefined) throw this.#sourceError;
    return this.result;
  }

  async #readBatch(rows: Iterator<Row> | AsyncIterator<Row>): Promise<void> {
    const interactions: Interaction[] = [];
    const numbers: number[] = [];
    while (interactions.length < this.#batchSize && !this.#exhausted) {
      let interaction: Interaction;
      try {
        const next = await rows.next();
        if (next.done) {
          this.#end();
          break;
        }
        interaction = this.#toInteractions.of(next.value);
      } catch (error) {  // goes on, behind what was read before it
        this.#exhausted = true;
        this.#sourceError = error;
        break;
      }
      const row = this.#toInteractions.row;
      if (row === 1 && this.options.producerId !== undefined) await this.#beginProducer(interaction);
      if (this.#producer !== "" && this.#sequenceOf(row) <= this.#knownSequence) {
        this.result.passedOver = this.result.rows = row;
        continue;
      }
      interactions.push(interaction);
      numbers.push(row);
    }
    this.#waitingSince = Date.now();  // the source may have taken its time
    if (interactions.length === 0) return;
    const request = create(IngestRequestSchema, { namespace: this.namespace, producerId: this.#producer, interactions });
    if (this.#producer !== "") request.firstSequence = BigInt(this.#sequenceOf(numbers[0]!));
    this.#window.push({ request, rows: numbers });
  }

  /** A producer's numbers are those of one source, which its first row tells apart, as for the command
   * line; unless the caller counts. */
  async #beginProducer(first: Interaction): Promise<void> {
    this.#producer = this.options.producerId!;
    if (this.options.firstSequence === undefined) this.#producer += `/${contentHash(first)}`;
    this.#knownSequence = await lastSequence(this.send, this.namespace, this.#producer, this.#retryForMs);
  }

  #sequenceOf(row: number): number {
    return row - 1 + this.#firstSequence;
  }

  #end(): void {
    this.#exhausted = true;
    const row = this.#toInteractions.row;
    if (this.options.firstSequence === undefined && row < this.#knownSequence) {
      this.#sourceError = new RangeError(
        `${this.#knownSequence} rows of this source are dealt with, and it has ${row}: it was cut`);
    }
  }

  /** All of it, by one request; what is not acknowledged then stays. */
  async #sendWindow(): Promise<void> {
    let error: GroundswellError | undefined;
    try {
      const timeoutMs = Math.max(this.#waitingSince + this.#retryForMs - Date.now(), 1);
      for await (const answer of answers(this.send, this.#window.map((batch) => batch.request), timeoutMs)) {
        error = this.#acknowledged(answer);
        if (error !== undefined) break;
      }
      if (error === undefined && this.#window.length > 0) error = new GroundswellError("ABORTED", "the answer was cut");
    } catch (cause) {
      if (!(cause instanceof GroundswellError)) throw cause;
      if (!isWorthARetry(cause)) throw cause;
      error = cause;
    }
    if (error === undefined) return;
    // By us, who waited: what happened before tells more.
    if (error.code !== "DEADLINE_EXCEEDED") this.#whyBroken = error;
    if (Date.now() - this.#waitingSince >= this.#retryForMs) throw this.#whyBroken ?? error;
    this.#pauseMs = Math.min(Math.max(this.#pauseMs * 2, FIRST_PAUSE_MS, error.retryDelayMs ?? 0), LONGEST_PAUSE_MS);
    await sleep(this.#pauseMs);
  }

  /** The answer to the oldest batch; the error of one that has to be sent again. */
  #acknowledged(answer: IngestResponse): GroundswellError | undefined {
    const batch = this.#window[0];
    if (batch === undefined) return new GroundswellError("ABORTED", "an answer to nothing");
    const refusals = answer.refusals.map(({ index, status }) => ({ row: batch.rows[index] ?? 0, error: ofStatus(status!) }));
    const forNow = refusals.map(({ error }) => error).filter(isForNow);
    if (forNow.length > 0) return forNow.sort((a, b) => (b.retryDelayMs ?? 0) - (a.retryDelayMs ?? 0))[0];
    this.#window.shift();
    this.#waitingSince = Date.now();
    this.#pauseMs = 0;
    this.#whyBroken = undefined;
    const result = this.result;
    result.accepted += answer.acceptedCount;
    result.duplicates += answer.duplicateCount;
    result.refused += refusals.length;
    for (const { error } of refusals) result.reasons[error.reason] = (result.reasons[error.reason] ?? 0) + 1;
    result.refusals.push(...refusals.slice(0, REFUSALS_KEPT - result.refusals.length));
    if (answer.lastOffset > result.lastOffset) {
      result.lastOffset = answer.lastOffset;
      result.consistencyToken = answer.consistencyToken;
    }
    result.rows = batch.rows.at(-1)!;
    this.options.onProgress?.(result);
    return undefined;
  }
}
