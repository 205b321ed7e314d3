// Why an item is where it is, or nowhere, in a user's list: asked of the API in so many questions.
import { getUserState, rank, recommend } from "./api.js";
import { SOURCES, sourceEnum } from "./sources.js";

const PAGE = 100;
const PAGES_MAX = 100; // the longest list that a server keeps

// {place, length}: from 1, or null where `itemId` is not in the whole list of `request`, which has `length`.
async function placeOf(itemId, request) {
  let length = 0;
  let pageToken = "";
  for (let page = 0; page < PAGES_MAX; ++page) {
    const answer = await recommend({ ...request, pageSize: PAGE, ...(pageToken ? { pageToken } : {}) });
    const items = answer.items ?? [];
    const at = items.findIndex((item) => item.itemId === itemId);
    if (at >= 0) return { place: length + at + 1, length: null, item: items[at], answer };
    length += items.length;
    pageToken = answer.nextPageToken ?? "";
    if (!pageToken) return { place: null, length, answer };
  }
  return { place: null, length };
}

async function scoreOf(itemId, request) {
  try {
    const answer = await rank({ userId: request.userId, itemIds: [itemId], ...(request.ranker ? { ranker: request.ranker } : {}) });
    return { item: answer.items?.[0], ranker: answer.ranker, unknown: (answer.unknownItemIds ?? []).includes(itemId) };
  } catch (error) {
    return { error };
  }
}

// The place in what one source proposes, in its own order.
async function placeIn(name, itemId, request) {
  try {
    return { name, ...(await placeOf(itemId, { ...request, onlySources: [sourceEnum(name)], skipRanking: true, ranker: undefined })) };
  } catch (error) {
    return { name, error };
  }
}

// `request`: of the list, without a page. One call after the other: this is for one person's question.
export async function traceItem(itemId, request) {
  const scored = await scoreOf(itemId, request);
  if (scored.unknown) return { itemId, scored };
  const list = await placeOf(itemId, request);
  const { filter = {} } = request;
  const hidden = await getUserState({ userId: request.userId, recentLimit: 1 }).then(
    (state) => (state.hiddenItemIds ?? []).includes(itemId),
    (error) => (error.reason === "USER_UNKNOWN" ? false : Promise.reject(error)),
  );
  const outsideCategories = (filter.categories ?? []).length > 0 && scored.item && !filter.categories.includes(scored.item.category ?? "");
  // What is seen is asked for again with seen items let in, so that the sources can say where they have it.
  const asked = { ...request, filter: { ...filter, includeSeen: true } };
  const withSeen = list.place === null && !filter.includeSeen && !hidden && !outsideCategories ? await placeOf(itemId, asked) : null;
  const seen = withSeen !== null && withSeen.place !== null;
  const sources = [];
  for (const name of request.onlySources ? SOURCES.filter((s) => request.onlySources.includes(sourceEnum(s))) : SOURCES) {
    sources.push(await placeIn(name, itemId, seen ? asked : request));
  }
  return { itemId, scored, list, hidden, outsideCategories, seen, withSeen, sources };
}

// In a sentence.
export function reasonOf({ itemId, scored, list, hidden, outsideCategories, seen, withSeen, sources }, shown) {
  if (scored.unknown) return `There is no item ${itemId} in the catalogue.`;
  if (list.place !== null) {
    return list.place <= shown
      ? `It is in the list, at place ${list.place}.`
      : `It is in the list, at place ${list.place}: behind the ${shown} that are shown.`;
  }
  if (hidden) return "The user has hidden it.";
  if (outsideCategories) return `Its category, ${scored.item.category || "none"}, is not among those asked for.`;
  if (seen) return `The user has taken it. With seen items let in it is at place ${withSeen.place}.`;
  if (sources.some((source) => source.place)) return "A source proposes it when asked alone, and the list of all sources had no room for it.";
  return "No source proposes it, or it is outside its time.";
}
