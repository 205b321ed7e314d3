// Lists of recommendations, and what is asked for them.
import { Bar, Check, Field, Figures, ItemLink, Table } from "./parts.jsx";
import { count, enumName, milliseconds, moves, score, signed, source, time } from "./format.js";
import { SOURCES, sourceEnum } from "./sources.js";

const split = (text) => (text ?? "").split(",").map((part) => part.trim()).filter(Boolean);

// "22423:purchase,85123A:view:2": the events of a supposition, as the command line has them; a weight
// besides, where it is not the type's.
export function parseEvents(text) {
  return split(text).map((part) => {
    const [itemId, eventType = "", weight = ""] = part.split(":");
    return weight ? { itemId, eventType, weight: Number(weight) } : { itemId, eventType };
  });
}

// The request that a screen's address stands for. `suffix`: of the names of what differs between two lists.
export function requestOf(params, suffix = "") {
  const request = { pageSize: Number(params.get("n") || 20) };
  const set = (field, value) => {
    if (value) request[field] = value;
  };
  set("userId", params.get("user"));
  set("ranker", params.get(`ranker${suffix}`));
  set("skipRanking", params.get(`skip${suffix}`) === "yes");
  const sources = split(params.get(`sources${suffix}`));
  if (sources.length > 0) request.onlySources = sources.map(sourceEnum);
  const filter = {};
  if (params.get("categories")) filter.categories = split(params.get("categories"));
  if (params.get("seen") === "yes") filter.includeSeen = true;
  if (Object.keys(filter).length > 0) request.filter = filter;
  return request;
}

export function ListOptions({ params, suffix = "", rankers = [] }) {
  const chosen = split(params.get(`sources${suffix}`));
  return (
    <>
      <Field label="Ranker" name={`ranker${suffix}`} defaultValue={params.get(`ranker${suffix}`) ?? ""} list="rankers" hint="Empty: the blend, with the default ranker's vote" />
      <datalist id="rankers">{rankers.map((name) => <option key={name} value={name} />)}</datalist>
      <Check label="Without a ranker" name={`skip${suffix}`} value="yes" defaultChecked={params.get(`skip${suffix}`) === "yes"} />
      <fieldset>
        <legend>Only these sources (none: all)</legend>
        {SOURCES.map((name) => (
          <Check key={name} label={name} name={`sources${suffix}`} value={name} defaultChecked={chosen.includes(name)} />
        ))}
      </fieldset>
    </>
  );
}

// What an answer says of itself: what it left out first.
export function Warnings({ answer }) {
  const warnings = (answer.degradations ?? []).map((d) => enumName(d, "DEGRADATION_"));
  if (answer.fallbackReason && answer.fallbackReason !== "FALLBACK_REASON_UNSPECIFIED") {
    warnings.push(`fallback: ${enumName(answer.fallbackReason, "FALLBACK_REASON_")}`);
  }
  return (
    <p data-warnings>
      {warnings.length === 0 ? "Nothing was left out." : <strong>Left out or replaced: {warnings.join(", ")}.</strong>}
    </p>
  );
}

export function AnswerFigures({ answer }) {
  const t = answer.timings ?? {};
  return (
    <Figures
      name="answer"
      values={[
        ["Snapshot", answer.snapshotVersion],
        ["Ranker", answer.ranker || "none"],
        ["Up to offset", count(answer.freshness?.appliedOffset)],
        ["Newest event", time(answer.freshness?.newestEventTime)],
        ["Total ms", milliseconds(t.total)],
        ["Queue ms", milliseconds(t.queue)],
        ["User state ms", milliseconds(t.userState)],
        ["Retrieval ms", milliseconds(t.retrieval)],
        ["Rank ms", milliseconds(t.rank)],
        ["Explain ms", milliseconds(t.explain)],
      ]}
    />
  );
}

const place = { title: "#", kind: "number", cell: (_, i) => i + 1 };
const item = { title: "Item", head: true, cell: (row) => <ItemLink id={row.itemId} /> };
const title = { title: "Title", cell: (row) => row.title };

export const itemColumns = [
  place,
  item,
  title,
  { title: "Category", cell: (row) => row.category },
  { title: "Score", kind: "number", cell: (row) => score(row.score) },
  { title: "Sources", cell: (row) => (row.sources ?? []).map(source).join(", ") },
];

export function ItemTable({ caption, items, name }) {
  return <Table caption={caption} name={name} rows={items} columns={itemColumns} />;
}

function moveText(move) {
  if (move === null) return "new";
  if (move === 0) return "same";
  return move > 0 ? `\u2191 ${move}` : `\u2193 ${-move}`;
}

// Two lists side by side, and how the second differs.
export function SideBySide({ left, right, leftTitle, rightTitle }) {
  const before = left.items ?? [];
  const after = right.items ?? [];
  const moved = moves(before, after);
  const stays = new Set(after.map((row) => row.itemId));
  const gone = before.filter((row) => !stays.has(row.itemId));
  const figure = { title: "Score", kind: "number", cell: (row) => score(row.score) };
  return (
    <>
      <Figures
        name="difference"
        values={[
          ["In both", count(before.length - gone.length)],
          ["New on the right", count(moved.filter((move) => move === null).length)],
          ["At the same place", count(moved.filter((move) => move === 0).length)],
        ]}
      />
      <div class="beside">
        <section aria-label={leftTitle}>
          <h2>{leftTitle}</h2>
          <Warnings answer={left} />
          <Table caption={`${leftTitle}: the list`} name="left" rows={before} columns={[place, item, title, figure, { title: "On the right", cell: (row) => (stays.has(row.itemId) ? "" : "gone") }]} />
        </section>
        <section aria-label={rightTitle}>
          <h2>{rightTitle}</h2>
          <Warnings answer={right} />
          <Table caption={`${rightTitle}: the list`} name="right" rows={after} columns={[place, item, title, figure, { title: "Move", cell: (_, i) => moveText(moved[i]) }]} />
        </section>
      </div>
    </>
  );
}

function causeOf(explanation) {
  if (explanation.pastItem) return `past item ${explanation.pastItem.itemId} ${explanation.pastItem.title ?? ""}`;
  const node = explanation.itemNode ?? explanation.userNode ?? {};
  const names = (node.categories ?? []).join(", ");
  return `${explanation.itemNode ? "item" : "user"} node ${node.number ?? 0}${names ? ` (${names})` : ""}`;
}

// Why an item stands where it does: both tables whole, the largest first as the server has them.
export function Explained({ item: row, place: number }) {
  const causes = row.explanations ?? [];
  const terms = row.blendTerms ?? [];
  const mostCause = Math.max(0, ...causes.map((c) => Math.abs(c.contribution ?? 0)));
  const mostTerm = Math.max(0, ...terms.map((t) => Math.abs(t.contribution ?? 0)));
  const sum = terms.reduce((total, term) => total + (term.contribution ?? 0), 0);
  const figure = { title: "Contribution", kind: "number", cell: (r) => signed(r.contribution) };
  const bar = (most) => ({ title: "Bar", kind: "wide", cell: (r) => <Bar value={r.contribution ?? 0} most={most} both /> });
  return (
    <details class="explained" data-item={row.itemId}>
      <summary>
        {number}. {row.itemId} {row.title}
      </summary>
      <div class="beside">
        <Table
          caption={`What raised or lowered the ranker's score of ${row.itemId}`}
          name="causes"
          rows={causes}
          empty="Nothing that the ranker reads of the user changed it."
          columns={[{ title: "Without", head: true, cell: causeOf }, figure, bar(mostCause)]}
        />
        <Table
          caption={`What the place of ${row.itemId} is made of: ${signed(sum)}`}
          name="terms"
          rows={terms}
          empty="The blend did not order this list."
          columns={[{ title: "Feature", head: true, cell: (r) => r.feature }, figure, bar(mostTerm)]}
        />
      </div>
    </details>
  );
}
