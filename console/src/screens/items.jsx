import { getListRules, similarItems } from "../api.js";
import { itemColumns } from "../lists.jsx";
import { time } from "../format.js";
import { Busy, Field, Form, Heading, Problem, Table, useLoad } from "../parts.jsx";
import { go } from "../route.js";

const similarColumns = itemColumns.filter((column) => column.title !== "Sources");

function ruleText(rule) {
  if (rule.pin) return `pin ${rule.pin.itemId} at ${rule.pin.position}`;
  const boost = rule.boost ?? {};
  return `boost ${boost.itemId ? `item ${boost.itemId}` : `category ${boost.category}`} by ${boost.factor}`;
}

function Rules() {
  const { data, error } = useLoad(() => getListRules(), []);
  return (
    <>
      <Problem error={error} />
      {data && (
        <Table
          caption="Rules for lists"
          name="rules"
          rows={data.rules}
          columns={[
            { title: "Name", head: true, cell: (row) => row.name },
            { title: "Does", cell: ruleText },
            { title: "Categories", cell: (row) => (row.categories ?? []).join(", ") || "all" },
            { title: "From", cell: (row) => time(row.startTime) },
            { title: "Until", cell: (row) => time(row.endTime) },
          ]}
        />
      )}
    </>
  );
}

export function Items({ params }) {
  const item = params.get("item") ?? "";
  const { data, error, busy } = useLoad(() => {
    if (!item) return undefined;
    const categories = (params.get("categories") ?? "").split(",").map((part) => part.trim()).filter(Boolean);
    return similarItems({ itemId: item, pageSize: Number(params.get("n") || 20), ...(categories.length > 0 ? { filter: { categories } } : {}) });
  }, [params]);
  return (
    <>
      <Heading>Items</Heading>
      <Form submit={(values) => go("items", values)} class="row" key={params.toString()}>
        <Field label="Item" name="item" required defaultValue={item} />
        <Field label="Neighbours" name="n" type="number" min="1" max="100" defaultValue={params.get("n") ?? "20"} />
        <Field label="Categories" name="categories" defaultValue={params.get("categories") ?? ""} hint="Separated by commas; empty: all" />
      </Form>
      <Problem error={error} />
      <Busy busy={busy && item} />
      {data && (
        <>
          <h2>Neighbours</h2>
          <Table caption={`The items nearest to ${item}, by their vectors`} name="similar" rows={data.items} columns={similarColumns} />
        </>
      )}
      <h2>Rules</h2>
      <Rules />
    </>
  );
}
