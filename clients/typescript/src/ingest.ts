// How rows get into the log, each counted once, through full queues, broken connections and restarts of the
// server. What was sent and not acknowledged is kept and sent again; event ids, or the sequence of a
// producer, make that harmless.
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { create, fromJson, toJsonString } from "@bufbuild/protobuf";

import { GroundswellError, details, ofHttp, ofJson, ofStatus } from "./errors.js";
import type { IngestResponse, Interaction } from "./gen/groundswell/v1/interaction_pb.js";
import { IngestRequestSchema, IngestResponseSchema } from "./gen/groundswell/v1/interaction_pb.js";
import type { Columns, Row } from "./rows.js";
import { ToInteractions, chainHash, contentHash } from "./rows.js";
import { sleep } from "./retry.js";

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;
const REFUSALS_KEPT = 100;
// Of one request: at most 3 MiB as UTF-8, where server.message_bytes_max is 4 MiB unless it is set, and far
// fewer values than the server reads as JSON.
const BODY_CHARACTERS = 1 << 20;

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
  /** Messages in one request, 1 to 100; 8 by default. Fewer where they come to more than a megabyte. */
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
  /** Of these, how many the server had refused then. They are sent again without the producer. */
  refusedBefore: number;
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

/** The first rows are others than those that an earlier run sent under this `producerId`. Nothing was sent. */
export class OtherSource extends Error {
  override readonly name = "OtherSource";
}

/** What came back: an HTTP status, and lines. */
export interface AnsweredLines {
  readonly status: number;
  readonly text: string;
}

/** Sends lines. Throws GroundswellError where nothing came back. */
export type SendLines = (body: string, timeoutMs: number) => Promise<AnsweredLines>;

interface Batch {
  readonly line: string;  // of JSON
  readonly rows: readonly number[];
}

function isForNow(error: GroundswellError): boolean {
  return error.code === "RESOURCE_EXHAUSTED" || error.code === "UNAVAILABLE";
}

function isWorthARetry(error: GroundswellError): boolean {
  return isForNow(error) || ["ABORTED", "CANCELLED", "DEADLINE_EXCEEDED", "UNKNOWN"].includes(error.code) ||
    error.reason === "SEQUENCE_GAP";
}

/** Answers, one for each line that was sent, in order, until there is an error, which is thrown. */
export async function* answers<Answer extends DescMessage>(
    schema: Answer, send: SendLines, lines: readonly string[], timeoutMs: number): AsyncGenerator<MessageShape<Answer>> {
  const { status, text } = await send(lines.join("\n"), timeoutMs);
  if (status !== 200) throw ofHttp(status, text);
  for (const line of text.split("\n")) {
    if (line === "") continue;
    let json;
    try {
      json = JSON.parse(line);
    } catch {
      throw new GroundswellError("ABORTED", "the answer was cut");
    }
    if (json.error !== undefined) throw ofJson(json.error);
    yield fromJson(schema, json, { registry: details, ignoreUnknownFields: true });
  }
}

/** Where this producer stands: `lastSequence`, 0 where nothing of it is dealt with, and `refusedSequenceCount`. */
export async function askProducer(send: SendLines, namespace: string, producerId: string, timeoutMs: number):
    Promise<IngestResponse> {
  const question = create(IngestRequestSchema, { namespace, producerId });
  for await (const answer of answers(IngestResponseSchema, send, [toJsonString(IngestRequestSchema, question)], timeoutMs)) {
    return answer;
  }
  throw new GroundswellError("ABORTED", "the server answered with nothing");
}

function within(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`${name} is ${value}; it must be ${least} to ${most}`);
}

/** A TypeError where `source` is none of rows. */
function iteratorOf(source: any): Iterator<Row> | AsyncIterator<Row> {
  const isObject = typeof source === "object" && source !== null;
  if (isObject && Symbol.asyncIterator in source) return source[Symbol.asyncIterator]();
  if (isObject && Symbol.iterator in source) return source[Symbol.iterator]();
  const shown = isObject ? "one object" : typeof source === "string" ? JSON.stringify(source) : String(source);
  throw new TypeError(`the rows are ${shown}: they must be something to iterate over, also asynchronously, that ` +
    "gives objects or Interactions, such as an array of objects");
}

/** How far a producer's numbers are used up, and by what: as the command line has it, so that either goes on where
 * the other stopped. */
class Numbering {
  readonly known: number;
  readonly #knownMark: string;  // empty: of a client that sends none
  /** Of all that was numbered; see IngestRequest.producer_mark. Undefined: not known, as where the caller shows a later
   * part alone. */
  #mark: string | undefined;

  /** `answer` is where the server has the producer. */
  constructor(firstSequence: number, answer: IngestResponse) {
    this.known = Number(answer.lastSequence);
    this.#knownMark = new TextDecoder().decode(answer.producerMark);
    this.#mark = firstSequence === 1 ? "" : undefined;
  }

  get mark(): Uint8Array {
    return new TextEncoder().encode(this.#mark ?? "");
  }

  /** Whether the server has the number. OtherSource where what it has there is something else. */
  take(sequence: number, interaction: Interaction): boolean {
    if (this.#mark === undefined && sequence === this.known + 1 && this.#knownMark !== "") this.#mark = this.#knownMark;
    if (this.#mark !== undefined) {
      this.#mark = chainHash(this.#mark, sequence, contentHash(interaction) + interaction.eventId);
      if (sequence === this.known && this.#knownMark !== "" && this.#mark !== this.#knownMark) {
        throw new OtherSource(`the first ${sequence} rows are others than those that this producerId sent; give this ` +
          "source another one, or none: what was acknowledged counts once");
      }
    }
    return sequence <= this.known;
  }
}

export class Ingest {
  readonly result: IngestResult = {
    rows: 0, passedOver: 0, refusedBefore: 0, accepted: 0, duplicates: 0, refused: 0, reasons: {}, refusals: [], lastOffset: 0n,
    consistencyToken: "",
  };
  readonly #toInteractions: ToInteractions;
  readonly #batchSize: number;
  readonly #inflightMax: number;
  readonly #retryForMs: number;
  readonly #firstSequence: number;
  #producer = "";
  #numbering: Numbering | undefined;
  readonly #window: Batch[] = [];  // read, and not acknowledged
  #exhausted = false;  // nothing further is read
  #sourceEnded = false;  // by itself
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
    const rows = iteratorOf(source);
    try {
      while (!this.#exhausted || this.#window.length > 0) {
        while (!this.#exhausted && this.#window.length < this.#inflightMax) await this.#readBatch(rows);
        if (this.#window.length > 0) await this.#sendWindow();
      }
    } finally {
      if (!this.#sourceEnded) await this.#leave(rows);
    }
    if (this.#sourceError !== undefined) throw this.#sourceError;
    return this.result;
  }

  /** As `for` does when it is left before the end. */
  async #leave(rows: Iterator<Row> | AsyncIterator<Row>): Promise<void> {
    try {
      await rows.return?.();
    } catch {
      // There is an error already, and it tells more.
    }
  }

  async #readBatch(rows: Iterator<Row> | AsyncIterator<Row>): Promise<void> {
    const interactions: Interaction[] = [];
    const numbers: number[] = [];
    while (interactions.length < this.#batchSize && !this.#exhausted) {
      const interaction = await this.#next(rows);
      if (interaction === undefined) break;
      const row = this.#toInteractions.row;
      if (row === 1 && this.options.producerId !== undefined) await this.#beginProducer(interaction);
      const isKnown = this.#takeNumber(row, interaction);
      if (isKnown === undefined) break;
      if (isKnown) {
        this.result.passedOver = this.result.rows = row;
        continue;
      }
      interactions.push(interaction);
      numbers.push(row);
    }
    this.#waitingSince = Date.now();  // the source may have taken its time
    if (interactions.length === 0) return;
    const request = create(IngestRequestSchema, { namespace: this.namespace, producerId: this.#producer, interactions });
    if (this.#numbering !== undefined) {
      request.firstSequence = BigInt(this.#sequenceOf(numbers[0]!));
      request.producerMark = this.#numbering.mark;
    }
    this.#window.push({ line: toJsonString(IngestRequestSchema, request), rows: numbers });
  }

  /** Undefined at the end, and at an error, which goes on behind what was read before it. */
  async #next(rows: Iterator<Row> | AsyncIterator<Row>): Promise<Interaction | undefined> {
    let next: IteratorResult<Row>;
    try {
      next = await rows.next();
    } catch (error) {
      this.#sourceEnded = true;
      return this.#stopReading(error);
    }
    if (next.done) return this.#end();
    try {
      return this.#toInteractions.of(next.value);
    } catch (error) {
      return this.#stopReading(error);
    }
  }

  #stopReading(error: unknown): undefined {
    this.#exhausted = true;
    this.#sourceError = error;
  }

  /** A producer's numbers are those of one source, which its first row tells apart, as for the command
   * line; unless the caller counts. */
  async #beginProducer(first: Interaction): Promise<void> {
    this.#producer = this.options.producerId!;
    if (this.options.firstSequence === undefined) this.#producer += `/${contentHash(first)}`;
    this.#waitingSince = Date.now();
    for (;;) {
      try {
        const stands = await askProducer(this.send, this.namespace, this.#producer, this.#timeLeftMs());
        this.#numbering = new Numbering(this.#firstSequence, stands);
        this.result.refusedBefore = Number(stands.refusedSequenceCount);
        return this.#heard();
      } catch (cause) {
        await this.#overcome(cause);
      }
    }
  }

  /** Whether the server has this row; undefined where what it has is something else, which ends the reading. */
  #takeNumber(row: number, interaction: Interaction): boolean | undefined {
    try {
      return this.#numbering?.take(this.#sequenceOf(row), interaction) ?? false;
    } catch (error) {
      return this.#stopReading(error);
    }
  }

  #sequenceOf(row: number): number {
    return row - 1 + this.#firstSequence;
  }

  #end(): undefined {
    this.#exhausted = this.#sourceEnded = true;
    const row = this.#toInteractions.row;
    const known = this.#numbering?.known ?? 0;
    if (this.options.firstSequence === undefined && row < known) {
      this.#sourceError = new RangeError(
        `${known} rows of this source are dealt with, and it has ${row}: it was cut`);
    }
  }

  /** The lines of the oldest batches: as many as go into one request, and one at least. */
  #body(): string[] {
    let characters = 0;
    const behind = this.#window.findIndex(({ line }, i) => (characters += line.length) > BODY_CHARACTERS && i > 0);
    return this.#window.slice(0, behind < 0 ? undefined : behind).map(({ line }) => line);
  }

  /** By one request; what is not acknowledged then stays. */
  async #sendWindow(): Promise<void> {
    const lines = this.#body();
    const left = this.#window.length - lines.length;
    try {
      for await (const answer of answers(IngestResponseSchema, this.send, lines, this.#timeLeftMs())) {
        if (this.#window.length === left) throw new GroundswellError("ABORTED", "an answer to nothing");
        this.#acknowledged(answer);
      }
      if (this.#window.length > left) throw new GroundswellError("ABORTED", "the answer was cut");
    } catch (cause) {
      await this.#overcome(cause);
    }
  }

  #timeLeftMs(): number {
    return Math.max(this.#waitingSince + this.#retryForMs - Date.now(), 1);
  }

  #heard(): void {
    this.#waitingSince = Date.now();
    this.#pauseMs = 0;
    this.#whyBroken = undefined;
  }

  /** Waits until the next try; throws what makes it final. */
  async #overcome(error: unknown): Promise<void> {
    if (!(error instanceof GroundswellError) || !isWorthARetry(error)) throw error;
    // By us, who waited: what happened before tells more.
    if (error.code !== "DEADLINE_EXCEEDED") this.#whyBroken = error;
    if (Date.now() - this.#waitingSince >= this.#retryForMs) throw this.#whyBroken ?? error;
    this.#pauseMs = Math.min(Math.max(this.#pauseMs * 2, FIRST_PAUSE_MS, error.retryDelayMs ?? 0), LONGEST_PAUSE_MS);
    await sleep(this.#pauseMs);
  }

  /** The answer to the oldest batch. Throws when that has to be sent again. */
  #acknowledged(answer: IngestResponse): void {
    const batch = this.#window[0]!;
    const refusals = answer.refusals.map(({ index, status }) => ({ row: batch.rows[index] ?? 0, error: ofStatus(status!) }));
    const forNow = refusals.map(({ error }) => error).filter(isForNow);
    if (forNow.length > 0) throw forNow.sort((a, b) => (b.retryDelayMs ?? 0) - (a.retryDelayMs ?? 0))[0];
    this.#window.shift();
    this.#heard();
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
  }
}
