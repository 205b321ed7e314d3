import { recommend } from "../api.js";
import { count, score } from "../format.js";
import { AnswerFigures, Explained, ItemTable, ListOptions, Warnings, requestOf } from "../lists.jsx";
import { Busy, Check, Field, Figures, Form, Heading, Problem, Table, useLoad } from "../parts.jsx";
import { go } from "../route.js";
import { reasonOf, traceItem } from "../why_not.js";

function placeText({ place, length, error }) {
  if (error) return `not asked: ${error.message}`;
  return place === null ? `not among its ${count(length)}` : String(place);
}

// One item, in the list or not.
function WhyNot({ params }) {
  const item = params.get("item") ?? "";
  const { pageSize, ...request } = requestOf(params);
  const { data, error, busy } = useLoad(() => item && traceItem(item, request), [params]);
  const values = Object.fromEntries(params);
  return (
    <>
      <h2>One item, in the list or not</h2>
      <Form submit={(entered) => go("why", { ...values, item: "", ...entered })} button="Look for it" class="row" key={item}>
        <Field label="Item" name="item" required defaultValue={item} />
      </Form>
      <Problem error={error} />
      <Busy busy={busy && item}>Every source is asked</Busy>
      {data && !busy && (
        <section aria-label={`Where ${data.itemId} stands`} data-traced={data.itemId}>
          <p>
            <strong>{reasonOf(data, pageSize)}</strong>
          </p>
          {data.sources && (
            <>
              <Figures
                name="traced"
                values={[
                  ["Item", `${data.itemId} ${data.scored.item?.title ?? ""}`],
                  ["Category", data.scored.item?.category || "none"],
                  ["Place in the list", placeText(data.list)],
                  ["Ranker's score", data.scored.error ? data.scored.error.message : `${score(data.scored.item?.score)} (${data.scored.ranker})`],
                ]}
              />
              <Table
                caption={`Where ${data.itemId} stands in what each source proposes, asked alone${data.seen ? " with seen items let in" : ""}`}
                name="places"
                rows={data.sources}
                columns={[
                  { title: "Source", head: true, cell: (row) => row.name },
                  { title: "Place", cell: placeText },
                  { title: "Its score there", kind: "number", cell: (row) => (row.item ? score(row.item.score) : "") },
                ]}
              />
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
