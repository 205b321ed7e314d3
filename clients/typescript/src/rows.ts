// Interactions out of plain objects.
import { clone, create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { TimestampSchema } from "@bufbuild/protobuf/wkt";

import type { Interaction } from "./gen/groundswell/v1/interaction_pb.js";
import { InteractionSchema } from "./gen/groundswell/v1/interaction_pb.js";
import { sha256 } from "./sha256.js";

const IDS_KEPT = 1_000_000;

/** By the names of its columns what a row holds; or an Interaction. */
export type Row = Readonly<Record<string, unknown>> | Interaction;

/** Which column holds what. What is not named is looked for under the names in use for it, such as `userId`,
 * `customer_id`, `sku`, `timestamp`, `event`; case, blanks and underscores do not matter. */
export interface Columns {
  readonly user?: string;
  readonly item?: string;
  readonly time?: string;
  readonly type?: string;
  readonly weight?: string;
  readonly eventId?: string;
}

/** A row that is no interaction; `row` counts from 1. */
export class BadRow extends Error {
  override readonly name = "BadRow";

  constructor(readonly row: number, what: string) {
    super(`row ${row}: ${what}`);
  }
}

type Field = keyof Columns;

// As the command line knows them, the best first.
const NAMES: Readonly<Record<Field, readonly string[]>> = {
  user: ["user", "userid", "uid", "customer", "customerid", "visitor", "visitorid", "reviewerid", "client",
    "clientid", "accountid", "memberid", "buyerid", "sessionid", "session", "anonymousid"],
  item: ["item", "itemid", "iid", "sku", "product", "productid", "movie", "movieid", "article", "articleid",
    "newsid", "asin", "isbn", "bookid", "stockcode", "trackid", "songid", "contentid", "videoid"],
  time: ["timestamp", "ts", "time", "eventtime", "datetime", "unixtimestamp", "eventtimestamp", "createdat",
    "created", "occurredat", "date", "invoicedate", "orderdate", "purchasedate"],
  type: ["type", "event", "eventtype", "eventname", "action", "actiontype", "behavior", "behaviortype",
    "behaviour", "interactiontype", "interaction"],
  weight: ["weight"],
  eventId: ["eventid"],
};
const FIELDS = Object.keys(NAMES) as Field[];

function plain(column: string): string {
  return column.split(":", 1)[0]!.toLowerCase().replace(/[^a-z0-9]/g, "");
}

function findColumns(keys: readonly string[], named: Columns, hasType: boolean): Map<Field, string> {
  const found = new Map<Field, string>();
  const taken = new Set(Object.values(named));
  for (const field of FIELDS) {
    const name = named[field];
    if (name !== undefined) {
      if (!keys.includes(name)) {
        throw new TypeError(`there is no column "${name}" for the ${field}; the columns are ${keys.join(", ")}`);
      }
      found.set(field, name);
      continue;
    }
    const ranked = new Map([...keys].reverse().filter((key) => !taken.has(key)).map((key) => [plain(key), key]));
    const known = NAMES[field].find((one) => ranked.has(one));
    if (known !== undefined) {
      found.set(field, ranked.get(known)!);
    } else if (field === "user" || field === "item" || field === "time" || (field === "type" && !hasType)) {
      throw new TypeError(`no column is known to hold the ${field}; the columns are ${keys.join(", ")}: name it ` +
        `with columns: {${field}: "..."}${field === "type" ? ", or give eventType" : ""}`);
    }
  }
  return found;
}

function ofMicroseconds(us: bigint): Timestamp {
  const million = 1_000_000n;
  const micros = ((us % million) + million) % million;
  return create(TimestampSchema, { seconds: (us - micros) / million, nanos: Number(micros) * 1000 });
}

// Below which number a time is in which unit, and how many microseconds that has.
const UNITS = [[1e11, 1e6], [1e14, 1e3], [1e17, 1], [1e20, 1e-3]] as const;
const LATEST_US = 253_402_300_799_000_000n;  // the end of the year 9999
const NUMBER = /^(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const ISO = new RegExp("^(\\d{4})([-/])(\\d\\d)\\2(\\d\\d)" +
  "(?:[Tt ](\\d\\d):(\\d\\d)(?::(\\d\\d))?(?:[.,](\\d+))?(?: ?(?:UTC|GMT|[Zz]|([+-])(\\d\\d)(?::?(\\d\\d))?))?)?$");

/** Microseconds of seconds, milli-, micro- or nanoseconds by their size. */
function ofNumber(value: number): bigint | undefined {
  const unit = value >= 0 ? UNITS.find(([below]) => value < below) : undefined;
  return unit === undefined ? undefined : BigInt(Math.round(value * unit[1]));
}

function ofIso(text: string): bigint | undefined {
  const parts = ISO.exec(text);
  if (parts === null) return undefined;
  const part = (i: number): number => Number(parts[i] ?? 0);
  const [year, month, day, hour, minute, second] = [part(1), part(3), part(4), part(5), part(6), part(7)];
  const [zoneHour, zoneMinute] = [part(10), part(11)];
  if (hour > 23 || minute > 59 || second > 60 || zoneHour > 23 || zoneMinute > 59) return undefined;  // 60: a leap second
  const date = new Date(Date.UTC(year, month - 1, day));
  if (date.getUTCFullYear() !== year || date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const zone = (zoneHour * 60 + zoneMinute) * (parts[9] === "-" ? -1 : 1);
  const seconds = date.getTime() / 1_000 + (hour * 60 + minute - zone) * 60 + second;
  return BigInt(seconds) * 1_000_000n + BigInt((parts[8] ?? "").slice(0, 6).padEnd(6, "0"));
}

// A year, and then twos of digits as long as there are any.
const BASIC_FORM = new RegExp("^((?:19[7-9]|20\\d)\\d)(?:(\\d\\d)(?:(\\d\\d)(?:(\\d\\d)(?:(\\d\\d)(?:(\\d\\d)(\\d{3})?)?)?)?)?)?" +
  "(?:\\.\\d*)?$");

/** 2021-02-13T10:30:00 of 202102131030: what to write instead of a date without separators, which would be taken for a
 * number of another time. */
function extendedForm(value: unknown): string | undefined {
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "bigint") return undefined;
  const parts = BASIC_FORM.exec(String(value).trim());
  if (parts === null) return undefined;
  const [, year, month = "01", day = "01", hour = "00", minute = "00", second = "00"] = parts;
  const extended = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  return ofIso(extended) === undefined ? undefined : extended;
}

/** Numbers and text are read as the command line does, so that an interaction has the same id by both. */
function timeOf(value: unknown, row: number): Timestamp {
  let us: bigint | undefined;
  if (value instanceof Date && !Number.isNaN(value.getTime())) return ofMicroseconds(BigInt(value.getTime()) * 1000n);
  if (typeof value === "bigint" || typeof value === "number") us = ofNumber(Number(value));
  if (typeof value === "string") {
    const text = value.trim();
    us = NUMBER.test(text) ? ofNumber(Number(text)) : ofIso(text);
    if (us !== undefined && (us < 0n || us > LATEST_US)) us = undefined;
  }
  if (us !== undefined) return ofMicroseconds(us);
  throw new BadRow(row, `the time is ${shown(value)}: it must be a number since 1970, such as 1322000000, ISO 8601, such ` +
    "as 2011-11-22T22:13:20Z or 2011-11-22, or a Date");
}

function shown(value: unknown): string {
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

function idOf(value: unknown, field: Field, row: number): string {
  if (typeof value === "string") return value;
  if (typeof value === "bigint" || Number.isSafeInteger(value)) return String(value);
  throw new BadRow(row, `the ${field} is ${shown(value)}: it must be a string or an integer`);
}

function isInteraction(row: Row): row is Interaction {
  return row["$typeName"] === InteractionSchema.typeName;
}

/** Makes an Interaction of each row, in order. */
export class ToInteractions {
  row = 0;
  #keys = "";
  #found = new Map<Field, string>();
  readonly #ids = new ContentIds();
  #beginsInBasicForm = false;

  constructor(readonly columns: Columns, readonly eventType: string | undefined) {}

  of(row: Row): Interaction {
    ++this.row;
    if (typeof row !== "object" || row === null) {
      throw new BadRow(this.row, `it is ${shown(row)}: it must be an object, or an Interaction`);
    }
    const made = isInteraction(row) ? clone(InteractionSchema, row) : this.#ofColumns(row);
    made.eventId ||= this.#ids.idOf(made);
    return made;
  }

  /** Rows that begin with such a date are of dates. Within others they are numbers as any. */
  #checkNoBasicForm(time: unknown): void {
    if (this.row > 1 && !this.#beginsInBasicForm) return;
    const extended = extendedForm(time);
    if (this.row === 1) this.#beginsInBasicForm = extended !== undefined;
    if (extended === undefined) return;
    throw new BadRow(this.row, `the time is ${shown(time)}: write it as ${extended}; as a number it is of another time`);
  }

  #ofColumns(row: Readonly<Record<string, unknown>>): Interaction {
    const keys = Object.keys(row);
    if (keys.join("\n") !== this.#keys) {
      this.#found = findColumns(keys, this.columns, this.eventType !== undefined);
      this.#keys = keys.join("\n");
    }
    const value = (field: Field): unknown => {
      const name = this.#found.get(field);
      const held = name === undefined ? undefined : row[name];
      return held === null || Number.isNaN(held) ? undefined : held;
    };
    for (const field of ["user", "item", "time"] as const) {
      if (value(field) === undefined) throw new BadRow(this.row, `the ${field} is missing`);
    }
    this.#checkNoBasicForm(value("time"));
    const type = value("type") ?? this.eventType;
    if (type === undefined) throw new BadRow(this.row, "the type is missing");
    const made = create(InteractionSchema, {
      userId: idOf(value("user"), "user", this.row), itemId: idOf(value("item"), "item", this.row),
      eventType: String(type), eventTime: timeOf(value("time"), this.row),
    });
    const weight = value("weight");
    if (weight !== undefined && weight !== "") {
      made.weight = Number(weight);
      if (!Number.isSafeInteger(made.weight)) {
        throw new BadRow(this.row, `the weight is ${shown(weight)}: it must be an integer`);
      }
    }
    const eventId = value("eventId");
    if (eventId !== undefined) made.eventId = idOf(eventId, "eventId", this.row);
    return made;
  }
}

/** 32 hexadecimal digits of what it says, as the command line has them: an interaction counts once, by
 * whichever of the two it is sent. */
export function contentHash(interaction: Interaction): string {
  const encoder = new TextEncoder();
  const weight = interaction.weight === undefined ? "" : String(interaction.weight);
  const { seconds, nanos } = interaction.eventTime ?? create(TimestampSchema);
  const text = [interaction.userId, interaction.itemId, interaction.eventType, weight]
    .map((field) => `${encoder.encode(field).length}:${field}`).join("");
  return sha256(encoder.encode(`${text}${seconds}.${String(nanos).padStart(9, "0")}`)).slice(0, 32);
}

/** Of everything up to a row: of what `before` stands for, and of that row. */
export function chainHash(before: string, row: number, ofRow: string): string {
  return sha256(new TextEncoder().encode(`${before} ${row} ${ofRow}`)).slice(0, 32);
}

/** Event ids for rows that bring none. Rows that say the same count as often as they are there: the second
 * has ":2" behind its id, and so on, as long as no more than a million rows lie between two. */
class ContentIds {
  #position = 0;
  readonly #last = new Map<string, { position: number; count: number }>();  // the oldest first

  idOf(interaction: Interaction): string {
    const hash = contentHash(interaction);
    ++this.#position;
    for (const [old, { position }] of this.#last) {
      if (position + IDS_KEPT >= this.#position) break;
      this.#last.delete(old);
    }
    const count = (this.#last.get(hash)?.count ?? 0) + 1;
    this.#last.delete(hash);
    this.#last.set(hash, { position: this.#position, count });
    return count === 1 ? hash : `${hash}:${count}`;
  }
}
