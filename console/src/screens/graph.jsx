import { getUserState } from "../api.js";
import { count } from "../format.js";
import { Busy, Field, Form, Heading, Problem, Table, useLoad } from "../parts.jsx";
import { go } from "../route.js";

const ROW = 26;
const COLUMNS = { userNode: 120, user: 360, item: 600, itemNode: 880 };
const WIDTH = 1000;
const TITLE_MAX = 22;
const WIDEST = 9;

const counted = (values) => (values ?? []).map((value, node) => ({ node, count: Number(value) })).filter((row) => row.count !== 0);
const short = (text) => (text.length > TITLE_MAX ? `${text.slice(0, TITLE_MAX - 1)}\u2026` : text);

// The edges of the picture and of the table: [{from, to, count}], with the columns and rows of their ends.
function edgesOf(state) {
  const user = { column: "user", row: 0, rows: 1, name: state.userId };
  const node = (column, rows) => (row, i) => ({ column, row: i, rows: rows.length, node: row.node, count: row.count, name: `${column === "userNode" ? "user" : "item"} node ${row.node}` });
  const one = counted(state.oneHop);
  const two = counted(state.twoHop);
  const itemNodes = one.map(node("itemNode", one));
  const userNodes = two.map(node("userNode", two));
  const recent = state.recentItems ?? [];
  const items = recent.map((item, i) => ({ column: "item", row: i, rows: recent.length, item, name: item.itemId }));
  const nodeOf = new Map(itemNodes.map((end) => [end.node, end]));
  return {
    ends: [...userNodes, user, ...items, ...itemNodes],
    taken: items.map((end) => ({ from: user, to: end, count: Number(end.item.count) })),
    belongs: items.filter((end) => nodeOf.has(end.item.itemCluster ?? 0)).map((end) => ({ from: end, to: nodeOf.get(end.item.itemCluster ?? 0), count: Number(end.item.count) })),
    others: userNodes.map((end) => ({ from: end, to: user, count: end.count })),
    itemNodes,
    userNodes,
  };
}

function Picture({ graph, label }) {
  const height = ROW * Math.max(4, ...graph.ends.map((end) => end.rows));
  const y = (end) => ((end.row + 0.5) * height) / end.rows;
  const group = (name, edges) => {
    const most = Math.max(1, ...edges.map((edge) => edge.count));
    return (
      <g class={name} data-edges={name}>
        {edges.map((edge) => (
          <line x1={COLUMNS[edge.from.column]} y1={y(edge.from)} x2={COLUMNS[edge.to.column]} y2={y(edge.to)} stroke-width={Math.max(0.5, (WIDEST * Math.abs(edge.count)) / most)} />
        ))}
      </g>
    );
  };
  const text = (end) => (end.item ? short(`${end.name} ${end.item.title ?? ""}`) : end.node === undefined ? end.name : `${end.name}: ${count(end.count)}`);
  return (
    <svg class="graph" viewBox={`0 0 ${WIDTH} ${height}`} role="img" aria-label={label}>
      {group("others", graph.others)}
      {group("taken", graph.taken)}
      {group("belongs", graph.belongs)}
      {graph.ends.map((end) => (
        <text x={COLUMNS[end.column]} y={y(end) + 4}>
          {text(end)}
        </text>
      ))}
    </svg>
  );
}

export function Graph({ params }) {
  const user = params.get("user") ?? "";
  const { data, error, busy } = useLoad(() => user && getUserState({ userId: user, recentLimit: Number(params.get("n") || 20) }), [params]);
  const graph = data && edgesOf(data);
  const edges = (name, caption, rows) => (
    <Table
      caption={caption}
      name={name}
      rows={rows}
      columns={[
        { title: "From", head: true, cell: (row) => row.from },
        { title: "To", cell: (row) => row.to },
        { title: "Count", kind: "number", cell: (row) => count(row.count) },
      ]}
    />
  );
  return (
    <>
      <Heading>Graph</Heading>
      <p>A user, the newest items taken, and the macro nodes: what the rankers read of the live graph.</p>
      <Form submit={(values) => go("graph", values)} class="row" key={params.toString()}>
        <Field label="User" name="user" required defaultValue={user} />
        <Field label="Items" name="n" type="number" min="1" max="100" defaultValue={params.get("n") ?? "20"} />
      </Form>
      <Problem error={error} />
      <Busy busy={busy && user && !data} />
      {graph && (
        <>
          <Picture graph={graph} label={`User ${user}, ${graph.taken.length} items, ${graph.itemNodes.length} item nodes, ${graph.userNodes.length} user nodes; the tables below have every edge`} />
          <div class="beside">
            {edges("edges-taken", "Items taken", graph.taken.map((edge) => ({ from: user, to: `${edge.to.name} (item node ${edge.to.item.itemCluster ?? 0})`, count: edge.count })))}
            <div>
              {edges("edges-one", "1 hop: all items taken, by item node", graph.itemNodes.map((end) => ({ from: user, to: end.name, count: end.count })))}
              {edges("edges-two", "2 hops: who else took them, by user node", graph.userNodes.map((end) => ({ from: user, to: end.name, count: end.count })))}
            </div>
          </div>
        </>
      )}
    </>
  );
}
