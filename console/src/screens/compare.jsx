import { recommend } from "../api.js";
import { ListOptions, SideBySide, requestOf } from "../lists.jsx";
import { Busy, Field, Form, Heading, Problem, useLoad } from "../parts.jsx";
import { go } from "../route.js";

function titleOf(params, suffix, name) {
  const parts = [];
  if (params.get(`ranker${suffix}`)) parts.push(params.get(`ranker${suffix}`));
  if (params.get(`skip${suffix}`)) parts.push("no ranker");
  if (params.get(`sources${suffix}`)) parts.push(params.get(`sources${suffix}`).replaceAll(",", ", "));
  return `${name}: ${parts.join("; ") || "as served"}`;
}

export function Compare({ params }) {
  const user = params.get("user") ?? "";
  const { data, error, busy } = useLoad(
    () => user && Promise.all([recommend(requestOf(params, "A")), recommend(requestOf(params, "B"))]),
    [params],
  );
  return (
    <>
      <Heading>Compare</Heading>
      <p>The lists of one user by two rankers or two sets of sources.</p>
      <Form submit={(values) => go("compare", values)} key={params.toString()} button="Compare">
        <div class="row">
          <Field label="User" name="user" required defaultValue={user} />
          <Field label="Items" name="n" type="number" min="1" max="100" defaultValue={params.get("n") ?? "20"} />
        </div>
        <div class="beside">
          <fieldset class="grid">
            <legend>Left</legend>
            <ListOptions params={params} suffix="A" />
          </fieldset>
          <fieldset class="grid">
            <legend>Right</legend>
            <ListOptions params={params} suffix="B" />
          </fieldset>
        </div>
      </Form>
      <Problem error={error} />
      <Busy busy={busy && user} />
      {data && <SideBySide left={data[0]} right={data[1]} leftTitle={titleOf(params, "A", "Left")} rightTitle={titleOf(params, "B", "Right")} />}
    </>
  );
}
