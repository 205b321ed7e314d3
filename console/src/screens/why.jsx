import { recommend } from "../api.js";
import { AnswerFigures, Explained, ItemTable, ListOptions, Warnings, requestOf } from "../lists.jsx";
import { Busy, Check, Field, Form, Heading, Problem, useLoad } from "../parts.jsx";
import { go } from "../route.js";

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
      <Form submit={(values) => go("why", values)} class="grid" key={params.toString()}>
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
