// Calls a server at its address for HTTP (server.connect_address), from Node or a browser.
import type { DescMessage, DescMethodUnary, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { clone, create, toJsonString } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";

import { GroundswellError, ofConnect } from "./errors.js";
import type { UpsertItemsResponse } from "./gen/groundswell/v1/admin_pb.js";
import { AdminService, UpsertItemsRequestSchema, UpsertItemsResponseSchema } from "./gen/groundswell/v1/admin_pb.js";
import { InteractionService } from "./gen/groundswell/v1/interaction_pb.js";
import type { RecommendResponse } from "./gen/groundswell/v1/recommend_pb.js";
import { RecommendRequestSchema, RecommendationService } from "./gen/groundswell/v1/recommend_pb.js";
import type { AnsweredLines, IngestOptions, IngestResult } from "./ingest.js";
import { Ingest, answers, askProducer } from "./ingest.js";
import { Throttle, sleep } from "./retry.js";
import type { Row } from "./rows.js";
import type { Init } from "./times.js";
import { withTimes } from "./times.js";

export interface ClientOptions {
  /** What the server asks clients for. Without TLS it is sent to this machine alone. */
  readonly token?: string;
  /** Set in requests that name none; "default" by default. */
  readonly namespace?: string;
  /** In milliseconds, of every call that names none, all its tries together; 1,000 by default. */
  readonly timeoutMs?: number;
  /** How often a call is tried at most, where the server is not there or asks to come back; 3 by default. */
  readonly attempts?: number;
  /** Instead of the surroundings' own. */
  readonly fetch?: typeof globalThis.fetch;
}

export interface CallOptions {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The calls of a service that have one request and one answer. A time in a request is a Date or a Timestamp. */
export type Calls<S extends DescService> = {
  [Name in keyof S["method"] as S["method"][Name] extends DescMethodUnary ? Name : never]:
    S["method"][Name] extends DescMethodUnary<infer Request, infer Response>
      ? (request: Init<Request>, options?: CallOptions) => Promise<MessageShape<Response>> : never;
};

type All = Calls<typeof RecommendationService> & Calls<typeof InteractionService> & Calls<typeof AdminService>;

export interface Client extends All {
  /** All pages of one list, from the first on: no repeats, no gaps. */
  pages(request: Init<typeof RecommendRequestSchema>, options?: CallOptions): AsyncGenerator<RecommendResponse>;

  /** Gets every row into the log, once, and returns when all of them are on disk. Broken connections, full
   * queues and restarts of the server are overcome; rows that the server refuses for good are in the
   * result. A row that is no interaction throws BadRow, and what the source throws goes on, once all before
   * it is on disk. */
  ingest(rows: Iterable<Row> | AsyncIterable<Row>, options?: IngestOptions): Promise<IngestResult>;

  /** Creates or replaces up to 1,000 items, each of which is done or refused on its own: `refusals` of the answer
   * says why. Within 60 seconds, if `timeoutMs` does not say otherwise; sent again, it is done again alike. */
  upsertItems(request: Init<typeof UpsertItemsRequestSchema>, options?: CallOptions): Promise<UpsertItemsResponse>;

  /** The number of the last interaction of this producer that is dealt with; 0: none is. `ingest`
   * without `firstSequence` counts as the producer `PRODUCER_ID/HASH`, where HASH is that of the source's first
   * row: ask for it under that name. */
  lastSequence(producerId: string, options?: CallOptions): Promise<number>;
}

const SERVICES = [RecommendationService, InteractionService, AdminService];
const INGEST_PATH = `/${InteractionService.typeName}/${InteractionService.method.ingest.name}`;
const UPSERT_ITEMS_PATH = `/${AdminService.typeName}/${AdminService.method.upsertItems.name}`;
const UPSERT_TIMEOUT_MS = 60_000;  // a batch lasts longer than a question

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function baseOf(url: string): URL {
  let base: URL | undefined;
  try {
    base = new URL(url);
  } catch {
    // It is told below.
  }
  if (base?.protocol === "http:" || base?.protocol === "https:") return base;
  throw new TypeError(`the server's address is "${url}": it must be a URL with http: or https:, such as ` +
    "http://localhost:7102 (server.connect_address)");
}

/** `url`: "http://127.0.0.1:7102". */
export function createClient(url: string, options: ClientOptions = {}): Client {
  const base = baseOf(url);
  if (options.token !== undefined && base.protocol !== "https:" && !isLoopback(base.hostname)) {
    throw new TypeError(`the token would be sent to ${base.host} in the clear: use https`);
  }
  const caller = new Caller(base.href.replace(/\/$/, ""), options);
  const client: Record<string, unknown> = {
    pages: caller.pages.bind(caller), ingest: caller.ingest.bind(caller), lastSequence: caller.lastSequence.bind(caller),
    upsertItems: caller.upsertItems.bind(caller),
  };
  for (const method of SERVICES.flatMap((service): readonly DescService["methods"][number][] => service.methods)) {
    if (method.methodKind !== "unary") continue;
    client[method.localName] = (request: Init<DescMessage>, call?: CallOptions) =>
      caller.unary(method as DescMethodUnary, request, call);
  }
  return client as unknown as Client;
}

/** Fills in what the caller left out: the namespace, and an id that lets an interaction count once. */
function prepare(message: any, namespace: string): void {
  let parts = [message];
  if (["groundswell.v1.BatchRecommendRequest", "groundswell.v1.UpsertItemsRequest"].includes(message.$typeName)) {
    parts = message.requests;
  } else if (message.$typeName === "groundswell.v1.TraceRecommendRequest") {
    message.recommend ??= create(RecommendRequestSchema);
    parts = [message.recommend];
  }
  for (const part of parts) part.namespace ||= namespace;
  if (message.$typeName === "groundswell.v1.RecordInteractionRequest" && !message.interaction?.eventId) {
    message.requestId ||= newUuid();
  }
}

/** Of the generator that browsers have on any page, and Node from 19 on; before, of Math's. */
function newUuid(): string {
  const bytes = new Uint8Array(16);
  const crypto: Crypto | undefined = globalThis.crypto;
  if (crypto === undefined) bytes.forEach((_, i) => { bytes[i] = Math.random() * 256; });
  else crypto.getRandomValues(bytes);
  bytes[6] = (bytes[6]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

class Caller {
  readonly #namespace: string;
  readonly #timeoutMs: number;
  readonly #headers: Record<string, string>;
  readonly #fetch: typeof globalThis.fetch;
  readonly #transport: Transport;
  readonly #throttle: Throttle;

  constructor(readonly url: string, options: ClientOptions) {
    this.#namespace = options.namespace ?? "default";
    this.#timeoutMs = options.timeoutMs ?? 1_000;
    this.#headers = options.token === undefined ? {} : { Authorization: `Bearer ${options.token}` };
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.#throttle = new Throttle(options.attempts ?? 3);
    this.#transport = createConnectTransport({ baseUrl: url, fetch: this.#fetch, useBinaryFormat: true });
  }

  async unary<Request extends DescMessage, Response extends DescMessage>(
      method: DescMethodUnary<Request, Response>, request: Init<Request>, call: CallOptions = {}):
      Promise<MessageShape<Response>> {
    const message = clone(method.input, create(method.input, withTimes(method.input, request)));
    prepare(message, this.#namespace);
    const end = Date.now() + (call.timeoutMs ?? this.#timeoutMs);
    for (let attempt = 1; ; ++attempt) {
      const left = end - Date.now();
      if (left <= 0) throw new GroundswellError("DEADLINE_EXCEEDED", "no time is left for the call");
      let error: GroundswellError;
      try {
        const answer = await this.#transport.unary(method, call.signal, left, this.#headers, message as MessageInitShape<Request>);
        this.#throttle.succeeded();
        return answer.message;
      } catch (cause) {
        error = ofConnect(cause, this.url);
      }
      const pause = call.signal?.aborted ? undefined : this.#throttle.pause(error, attempt, end - Date.now());
      if (pause === undefined) throw error;
      await sleep(pause, call.signal);
    }
  }

  async *pages(request: Init<typeof RecommendRequestSchema>, call?: CallOptions):
      AsyncGenerator<RecommendResponse> {
    for (let pageToken = request.pageToken ?? ""; ;) {
      const answer = await this.unary(RecommendationService.method.recommend, { ...request, pageToken }, call);
      yield answer;
      if (answer.nextPageToken === "") return;
      pageToken = answer.nextPageToken;
    }
  }

  async ingest(rows: Iterable<Row> | AsyncIterable<Row>, options: IngestOptions = {}): Promise<IngestResult> {
    return new Ingest(this.#lines, this.#namespace, options).run(rows);
  }

  async lastSequence(producerId: string, call: CallOptions = {}): Promise<number> {
    const stands = await askProducer(this.#lines, this.#namespace, producerId, call.timeoutMs ?? this.#timeoutMs);
    return Number(stands.lastSequence);
  }

  async upsertItems(request: Init<typeof UpsertItemsRequestSchema>, call: CallOptions = {}):
      Promise<UpsertItemsResponse> {
    const message = clone(UpsertItemsRequestSchema,
      create(UpsertItemsRequestSchema, withTimes(UpsertItemsRequestSchema, request)));
    prepare(message, this.#namespace);
    const send = (body: string, timeoutMs: number) => this.#post(UPSERT_ITEMS_PATH, body, timeoutMs, call.signal);
    const line = toJsonString(UpsertItemsRequestSchema, message);
    for await (const answer of answers(UpsertItemsResponseSchema, send, [line], call.timeoutMs ?? UPSERT_TIMEOUT_MS)) {
      return answer;
    }
    throw new GroundswellError("ABORTED", "the server answered with nothing");
  }

  readonly #lines = (body: string, timeoutMs: number) => this.#post(INGEST_PATH, body, timeoutMs);

  async #post(path: string, body: string, timeoutMs: number, signal?: AbortSignal): Promise<AnsweredLines> {
    const controller = new AbortController();
    // Not AbortSignal.timeout: it does not keep Node from ending while it waits.
    const timer = setTimeout(() => controller.abort(
      new GroundswellError("DEADLINE_EXCEEDED", "no answer came in time")), timeoutMs);
    const abort = () => controller.abort(signal?.reason);
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort);
    try {
      const answer = await this.#fetch(this.url + path, {
        method: "POST", body, headers: { ...this.#headers, "Content-Type": "application/x-ndjson" },
        signal: controller.signal,
      });
      return { status: answer.status, text: await answer.text() };
    } catch (cause) {
      throw ofConnect(cause, this.url);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }
}
