// The sources of candidates that may be asked for, as the command line names them.
export const SOURCES = ["embedding", "random-walk", "next-items", "similar-items", "trending", "macro-node", "popular", "history", "page-rank"];

export const sourceEnum = (name) => `CANDIDATE_SOURCE_${name.toUpperCase().replaceAll("-", "_")}`;
