import { useState } from "preact/hooks";
import { getUserState, recommend } from "../api.js";
import { count, time } from "../format.js";
import { ItemTable, Warnings } from "../lists.jsx";
import { Busy, Check, Field, Figures, Form, Heading, ItemLink, NodeBars, Problem, Table, useLoad, useTicks } from "../parts.jsx";
import { address, go } from "../route.js";

const EVERY_MS = 1_000;

export function User({ params }) {
  const user = params.get("user") ?? "";
  const [live, setLive] = useState(false);
  const ticks = useTicks(EVERY_MS, live && user !== "");
  const { data, error, busy } = useLoad(
    () =>
      user &&
      Promise.all([
        getUserState({ userId: user, recentLimit: Number(params.get("n") || 20) }),
        recommend({ userId: user, pageSize: Number(params.get("n") || 20) }),
      ]),
    [params, ticks],
  );
  const [state, list] = data || [];
  return (
    <>
      <Heading>User</Heading>
      <Form submit={(values) => go("user", values)} class="row" key={params.toString()}>
        <Field label="User" name="user" required defaultValue={user} />
        <Field label="Rows" name="n" type="number" min="1" max="100" defaultValue={params.get("n") ?? "20"} />
      </Form>
      <Check label="Look again every second" checked={live} onChange={(e) => setLive(e.currentTarget.checked)} />
      <Problem error={error} />
      <Busy busy={busy && user && !data} />
      {state && (
        <>
          <h2>State</h2>
          <Figures
            name="user"
            values={[
              ["User", state.userId],
              ["Trained vector", state.hasEmbedding ? "yes" : "no"],
              ["Cluster", state.userCluster ?? 0],
              ["Items taken", count(state.distinctItems)],
              ["Counts together", count(state.totalCount)],
              ["Up to offset", count(state.freshness?.appliedOffset)],
              ["Hidden items", (state.hiddenItemIds ?? []).join(", ") || "none"],
            ]}
          />
          <Warnings answer={state} />
          <p>
            <a href={address("why", { user })}>Why this list</a> · <a href={address("what-if", { user })}>What if</a> · <a href={address("graph", { user })}>Graph</a> ·{" "}
            <a href={address("compare", { user, skipB: "yes" })}>Compare</a>
          </p>
          <h2>History</h2>
          <Table
            caption="What the user took, the newest first"
            name="history"
            rows={state.recentItems}
            columns={[
              { title: "Item", head: true, cell: (row) => <ItemLink id={row.itemId} /> },
              { title: "Title", cell: (row) => row.title },
              { title: "Category", cell: (row) => row.category },
              { title: "Cluster", kind: "number", cell: (row) => row.itemCluster ?? 0 },
              { title: "Count", kind: "number", cell: (row) => count(row.count) },
              { title: "Last time", cell: (row) => time(row.lastTime) },
            ]}
          />
          <h2>Macro edges</h2>
          <div class="beside">
            <NodeBars caption="1 hop: what the user took, by cluster of items" name="one-hop" values={state.oneHop} nodes="Item node" />
            <NodeBars caption="2 hops: who else took these items, by cluster of users" name="two-hop" values={state.twoHop} nodes="User node" />
          </div>
          <h2>List</h2>
          <ItemTable caption={`The list of ${user} now`} items={list.items} name="list" />
        </>
      )}
    </>
  );
}
