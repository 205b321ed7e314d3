// When a call is tried again.
import type { GroundswellError } from "./errors.js";

const FIRST_PAUSE_MS = 10;
const LONGEST_PAUSE_MS = 200;
// Retries never feed an overload (as gRFC A6 has it): a failure costs a token, a success brings a tenth of
// one, and nothing is tried again with half of them gone.
const TOKENS_MAX = 10;

/** Until the time is over, or the signal comes. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
  });
}

export class Throttle {
  #tokens = TOKENS_MAX;

  constructor(readonly attempts: number) {}

  succeeded(): void {
    this.#tokens = Math.min(this.#tokens + 0.1, TOKENS_MAX);
  }

  /** Milliseconds until the next try, behind the `attempt`-th, from 1; undefined: `error` is final.
   * UNAVAILABLE is tried again soon, or when the server says; RESOURCE_EXHAUSTED only when it says. */
  pause(error: GroundswellError, attempt: number, timeLeftMs: number): number | undefined {
    const asked = error.retryDelayMs;
    if (error.code !== "UNAVAILABLE" && !(error.code === "RESOURCE_EXHAUSTED" && asked !== undefined)) return undefined;
    this.#tokens = Math.max(this.#tokens - 1, 0);
    if (attempt >= this.attempts || this.#tokens <= TOKENS_MAX / 2) return undefined;
    const pause = asked ?? Math.min(FIRST_PAUSE_MS * 2 ** (attempt - 1), LONGEST_PAUSE_MS);
    return pause < timeLeftMs ? pause : undefined;
  }
}
