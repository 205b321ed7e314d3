export { createClient } from "./client.js";
export type { CallOptions, Calls, Client, ClientOptions } from "./client.js";
export { GroundswellError } from "./errors.js";
export type { CodeName, FieldViolation, Reason } from "./errors.js";
export type { IngestOptions, IngestResult, Refusal } from "./ingest.js";
export { OtherSource } from "./ingest.js";
export { BadRow } from "./rows.js";
export type { Columns, Row } from "./rows.js";
