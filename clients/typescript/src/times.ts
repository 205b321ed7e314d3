// Times in requests: a Date, or a Timestamp.
import type { DescMessage, Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";

/** What a call takes: the fields that it needs of the message, or the message; a time is a Date, too. */
export type Init<Desc extends DescMessage> = MessageFields<MessageShape<Desc>>;
type MessageFields<M> = M | { [P in keyof M as P extends "$unknown" | "$typeName" ? never : P]?: FieldInit<M[P]> };
type FieldInit<F> =
  F extends string | number | bigint | boolean | Uint8Array ? F
  : F extends Timestamp ? Date | MessageInitShape<typeof TimestampSchema>
  : F extends (infer U)[] ? FieldInit<U>[]
  : F extends Message ? MessageFields<F>
  : F extends { case: infer C; value: infer V } ? { case: C; value: FieldInit<V> }
  : F;

const TIMESTAMP = "google.protobuf.Timestamp";

/** A Timestamp of a Date. A TypeError where it is neither: `create` would make 1970 of it. */
function timeOf(value: any, where: string): unknown {
  if (value instanceof Date && !Number.isNaN(value.getTime())) return timestampFromMs(value.getTime());
  if (typeof value === "object" && !(value instanceof Date) && ("seconds" in value || "nanos" in value)) return value;
  const shown = typeof value === "string" ? JSON.stringify(value) : String(value);
  throw new TypeError(`${where} is ${shown}: it must be a Date, such as new Date("2011-11-22T22:13:20Z"), or a Timestamp`);
}

function valueOf(desc: DescMessage, value: any, where: string): unknown {
  if (value === undefined || value === null) return value;
  return desc.typeName === TIMESTAMP ? timeOf(value, where) : withTimes(desc, value, where);
}

/** `init` with a Timestamp in the place of each Date. It is not changed itself. */
export function withTimes(desc: DescMessage, init: any, where = ""): any {
  if (typeof init !== "object" || init === null || Array.isArray(init)) return init;
  const made = { ...init };
  for (const field of desc.fields) {
    const message = field.fieldKind === "message" || (field.fieldKind === "list" && field.listKind === "message")
      ? field.message : undefined;
    if (message === undefined) continue;
    const path = where === "" ? field.localName : `${where}.${field.localName}`;
    const held = field.oneof === undefined ? init[field.localName] : init[field.oneof.localName];
    if (field.oneof !== undefined) {
      if (held?.case !== field.localName) continue;
      made[field.oneof.localName] = { ...held, value: valueOf(message, held.value, path) };
    } else if (Array.isArray(held)) {
      made[field.localName] = held.map((one, i) => valueOf(message, one, `${path}[${i}]`));
    } else if (held !== undefined) {
      made[field.localName] = valueOf(message, held, path);
    }
  }
  return made;
}
