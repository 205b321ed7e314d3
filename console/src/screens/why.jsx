import { recommend } from "../api.js";
import { enumName, score, source } from "../format.js";
import { AnswerFigures, Explained, ItemTable, ListOptions, Warnings, requestOf } from "../lists.jsx";
import { Busy, Check, Field, Figures, Form, Heading, Problem, Table, useLoad } from "../parts.jsx";
import { go } from "../route.js";
import { isInCatalogue, placeIn, reasonOf, scoreIn, traceItem } from "../why_not.js";

const placed = (place) => (place ? `${place.place} (${score(place.score)})` : "none");

// One item, in the list or not.
function WhyNot({ params }) {
  const item = params.get("item") ?? "";
  const request = requestOf(params);
  const { data, error, busy } = useLoad(() => item && traceItem(item, request), [params]);
  const values = Object.fromEntries(params);
  const traced = data?.item;
  return (
    <>
      <h2>One item, in the list or not</h2>
      <Form submit={(entered) => go("why", { ...values, item: "", ...entered })} button="Look for it" class="row" key={item}>
        <Field label="Item" name="item" required defaultValue={item} />
      </Form>
      <Problem error={error} />
      <Busy busy={busy && item}>It is traced</Busy>
      {data && !busy && (
        <section aria-label={`Where ${traced.itemId} stands`} data-traced={traced.itemId}>
          <p>
            <strong>{reasonOf(data, request.pageSize)}</strong>
          </p>
          {isInCatalogue(traced) && (
            <>
              <Figures
                name="traced"
                values={[
                  ["Item", `${traced.itemId} ${traced.title ?? ""}`],
                  ["Category", traced.category || "none"],
                  ["Place in the list", traced.place ? String(traced.place) : "none"],
                  ["Place and score by the blend, before the ranker", placed(traced.blend)],
                  ["Ranker's score", traced.ranker ? `${score(traced.ranker.score)} (${data.trace.ranker})` : "not asked"],
                  ["Place by the ranker", traced.ranker ? String(traced.ranker.place) : "none"],
                  ["Place and score as ordered, before rules", placed(traced.order)],
                  ["Boost", traced.boost],
                  ["Pinned to", traced.pinPosition || "none"],
                ]}
              />
              <Table
                caption={`Where ${traced.itemId} stands in what each source proposes`}
                name="places"
                rows={data.trace.sources}
                columns={[
                  { title: "Source", head: true, cell: (row) => source(row.source) },
                  { title: "Place", cell: (row) => placeIn(row, traced) },
                  { title: "Its score there", kind: "number", cell: (row) => (scoreIn(row, traced) === undefined ? "" : score(scoreIn(row, traced))) },
                ]}
              />
              {traced.moves && (
                <Table
                  caption={`What moved ${traced.itemId} once the list was ordered`}
                  name="moves"
                  rows={traced.moves}
                  columns={[
                    { title: "By", head: true, cell: (row) => enumName(row.step, "LIST_STEP_").replaceAll("-", " ") },
                    { title: "From place", kind: "number", cell: (row) => row.fromPlace || "none" },
                    { title: "To place", kind: "number", cell: (row) => row.toPlace || "none" },
                  ]}
                />
              )}
            </>
          )}
        </section>
      )}
    </>
  );
}

export function Why({ params }) {
  const user = params.get("user") ?? "";
  const { data, error, busy } = useLoad(
    () => user && recommend({ ...requestOf(params), explainItems: Number(params.get("explain") || 10) }),
    [params],
  );
  const causes = data?.explanationCauses;
  return (
    <>
      <Heading>Why</Heading>
      <p>The list of a user, who proposed each item, and what put it at its place.</p>
      <Form submit={(values) => go("why", { ...values, item: params.get("item") })} class="grid" key={params.toString()}>
        <Field label="User" name="user" required defaultValue={user} />
        <Field label="Items" name="n" type="number" min="1" max="100" defaultValue={params.get("n") ?? "20"} />
        <Field label="Items to explain" name="explain" type="number" min="1" max="10" defaultValue={params.get("explain") ?? "10"} />
        <Field label="Categories" name="categories" defaultValue={params.get("categories") ?? ""} hint="Separated by commas; empty: all" />
        <Check label="Let seen items in" name="seen" value="yes" defaultChecked={params.get("seen") === "yes"} />
        <ListOptions params={params} />
      </Form>
      <Problem error={error} />
      <Busy busy={busy && user} />
      {data && (
        <>
          <h2>Answer</h2>
          <AnswerFigures answer={data} />
          <Warnings answer={data} />
          <h2>List</h2>
          <ItemTable caption={`The list of ${user}`} items={data.items} name="list" />
          <WhyNot params={params} />
          <h2>Reasons</h2>
          <p>
            {causes ? `${causes.tried ?? 0} of ${causes.known ?? 0} causes were tried: each is taken away alone, and the item scored again.` : "No causes were tried."}
          </p>
          {(data.items ?? [])
            .map((item, i) => ({ item, place: i + 1 }))
            .filter(({ item }) => item.explanations || item.blendTerms)
            .map(({ item, place }) => (
              <Explained key={item.itemId} item={item} place={place} />
            ))}
        </>
      )}
    </>
  );
}
