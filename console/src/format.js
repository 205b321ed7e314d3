// How figures are written. What protobuf's JSON leaves out is 0, empty or false.

export const count = (value) => Number(value ?? 0).toLocaleString("en");
export const score = (value) => Number(value ?? 0).toFixed(4);
export const signed = (value) => `${value < 0 ? "\u2212" : "+"}${Math.abs(value ?? 0).toFixed(4)}`;
export const percent = (value) => `${(100 * Number(value ?? 0)).toFixed(1)}%`;
export const seconds = (duration) => Number((duration ?? "0s").slice(0, -1));
export const milliseconds = (duration) => (1000 * seconds(duration)).toFixed(2);
export const time = (value) => (value ? value.replace("T", " ").replace(/\.\d+Z$/, "Z") : "none");

// "CANDIDATE_SOURCE_RANDOM_WALK" as the command line has it: "random-walk".
export const enumName = (value, prefix) =>
  value.replace(prefix, "").toLowerCase().replaceAll("_", "-");
export const source = (value) => enumName(value, "CANDIDATE_SOURCE_");

export function uptime(duration) {
  const s = Math.floor(seconds(duration));
  const parts = [Math.floor(s / 86_400), Math.floor(s / 3_600) % 24, Math.floor(s / 60) % 60, s % 60];
  const first = parts.findIndex((part) => part > 0);
  return (first < 0 ? ["0 s"] : parts.map((part, i) => `${part} ${"dhms"[i] === "m" ? "min" : "dhms"[i]}`).slice(first, first + 2)).join(" ");
}

// The place in `before` less that in `after`: positive moved up; null where it is new.
export function moves(before, after) {
  const places = new Map(before.map((item, i) => [item.itemId, i]));
  return after.map((item, i) => (places.has(item.itemId) ? places.get(item.itemId) - i : null));
}
