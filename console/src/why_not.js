// Why an item is where it is, or nowhere, in a user's list.
import { traceRecommend } from "./api.js";
import { count, enumName } from "./format.js";

const FILTERS = {
  LIST_FILTER_NOT_AVAILABLE: () => "It is outside its time.",
  LIST_FILTER_CATEGORY: (item) => `Its category, ${item.category || "none"}, is not among those asked for.`,
  LIST_FILTER_EXCLUDED: () => "The request leaves it out.",
  LIST_FILTER_SEEN: () => "The user has taken it.",
  LIST_FILTER_HIDDEN: () => "The user has hidden it.",
};

// {trace, item}: the answer, and what it says of this item. `request`: of the list.
export async function traceItem(itemId, request) {
  const trace = await traceRecommend({ recommend: request, itemIds: [itemId] });
  return { trace, item: trace.items[0] };
}

export const isInCatalogue = (item) => !["LIST_OUTCOME_UNKNOWN_ITEM", "LIST_OUTCOME_REMOVED_ITEM"].includes(item.outcome);

// In a sentence, or one for each filter. `shown`: items of the list that are on the page.
export function reasonOf({ trace, item }, shown) {
  switch (item.outcome) {
    case "LIST_OUTCOME_LISTED":
      return item.place <= shown
        ? `It is in the list, at place ${item.place}.`
        : `It is in the list, at place ${item.place}: behind the ${shown} that are shown.`;
    case "LIST_OUTCOME_UNKNOWN_ITEM":
      return `There is no item ${item.itemId} in the catalogue.`;
    case "LIST_OUTCOME_REMOVED_ITEM":
      return "It was removed from the catalogue.";
    case "LIST_OUTCOME_FILTERED":
      return item.filteredBy.map((filter) => FILTERS[filter]?.(item) ?? filter).join(" ");
    case "LIST_OUTCOME_NOT_PROPOSED":
      return "No source proposes it.";
    case "LIST_OUTCOME_NOT_CHOSEN":
      return `It was proposed, and is behind the ${count(trace.chosenCount)} that the list is made of.`;
    case "LIST_OUTCOME_BEHIND_LAST_PAGE":
      return `It is behind the ${count(trace.listedCount)} items of the last page.`;
    default:
      return item.outcome;
  }
}

// "off", or the place among so many.
export function placeIn(source, item) {
  const found = (item.sources ?? []).find((one) => one.source === source.source);
  if (found) return String(found.place);
  if (source.state !== "SOURCE_STATE_ASKED") return enumName(source.state, "SOURCE_STATE_").replaceAll("-", " ");
  return `not among its ${count(source.proposedCount)}`;
}

export const scoreIn = (source, item) => (item.sources ?? []).find((one) => one.source === source.source)?.score;
