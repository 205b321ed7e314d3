import { useEffect, useRef, useState } from "preact/hooks";
import { calls, getBlend, getServerStatus } from "../api.js";
import { count, percent, score, seconds, time, uptime } from "../format.js";
import { Bar, Busy, Check, Figures, Heading, Line, Problem, Table, useLoad, useTicks } from "../parts.jsx";

const EVERY_MS = 2_000;
const POINTS = 60;

// Interactions applied per second between one look and the next.
function useRates(status) {
  const last = useRef(null);
  const [rates, setRates] = useState([]);
  useEffect(() => {
    if (!status) return;
    const now = { offset: Number(status.graph?.appliedOffset ?? 0), at: seconds(status.uptime) };
    const before = last.current;
    last.current = now;
    if (!before || now.at <= before.at) return;
    const rate = Math.max(0, now.offset - before.offset) / (now.at - before.at);
    setRates((all) => [...all, rate].slice(-POINTS));
  }, [status]);
  return rates;
}

function Lists({ caption, lists, name }) {
  return (
    <Table
      caption={caption}
      name={name}
      rows={lists}
      empty="No interaction has been judged yet."
      columns={[
        { title: "List", head: true, cell: (row) => row.list },
        { title: "Interactions", kind: "number", cell: (row) => count(row.interactionCount) },
        { title: "Hit rate", kind: "number", cell: (row) => percent(row.hitRate) },
        { title: "Bar", kind: "wide", cell: (row) => <Bar value={row.hitRate ?? 0} most={1} /> },
        { title: "NDCG at 20", kind: "number", cell: (row) => score(row.ndcg) },
        { title: "Served hit rate", kind: "number", cell: (row) => percent(row.servedHitRate) },
        { title: "Share of served hits", kind: "number", cell: (row) => percent(row.servedHitShare) },
      ]}
    />
  );
}

function middle(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length === 0 ? null : sorted[Math.floor(sorted.length / 2)];
}

// What this page itself has seen of the server: no other callers' calls.
function OwnCalls() {
  const methods = [...new Set(calls.map((call) => call.method))].sort();
  const stage = (of, name) => {
    const value = middle(of.filter((c) => c.timings).map((c) => 1000 * seconds(c.timings[name])));
    return value === null ? "" : value.toFixed(2);
  };
  const rows = methods.map((method) => ({ method, of: calls.filter((call) => call.method === method) }));
  const failed = calls.filter((call) => call.error).slice(-10).reverse();
  return (
    <>
      <Table
        caption="Calls of this page: medians in milliseconds, by stage"
        name="calls"
        rows={rows}
        columns={[
          { title: "Call", head: true, cell: (row) => row.method },
          { title: "Calls", kind: "number", cell: (row) => row.of.length },
          { title: "Round trip", kind: "number", cell: (row) => middle(row.of.map((c) => c.ms)).toFixed(2) },
          ...["total", "queue", "userState", "retrieval", "rank"].map((name) => ({
            title: { total: "In the server", queue: "Queue", userState: "User state", retrieval: "Retrieval", rank: "Rank" }[name],
            kind: "number",
            cell: (row) => stage(row.of, name),
          })),
        ]}
      />
      <Table
        caption="The newest errors of this page's calls"
        name="errors"
        rows={failed}
        columns={[
          { title: "Call", head: true, cell: (row) => row.method },
          { title: "Code", cell: (row) => row.error.code },
          { title: "Message", cell: (row) => row.error.message },
        ]}
      />
    </>
  );
}

export function Overview() {
  const [live, setLive] = useState(true);
  const ticks = useTicks(EVERY_MS, live);
  const { data, error } = useLoad(() => Promise.all([getServerStatus(), getBlend()]), [ticks]);
  const rates = useRates(data?.[0]);
  const [status, blend] = data ?? [];
  const graph = status?.graph ?? {};
  const snapshot = status?.snapshot ?? {};
  return (
    <>
      <Heading>Overview</Heading>
      <Check label="Look again every 2 s" checked={live} onChange={(e) => setLive(e.currentTarget.checked)} />
      <Problem error={error} />
      <Busy busy={!data && !error} />
      {data && (
        <>
          <h2>Server</h2>
          <Figures
            name="server"
            values={[
              ["Version", status.serverVersion],
              ["Up for", uptime(status.uptime)],
              ["Namespace", status.namespace],
              ["Index", status.indexKind],
            ]}
          />
          <h2>Freshness</h2>
          <Figures
            name="graph"
            values={[
              ["Applied per second", rates.length > 0 ? rates[rates.length - 1].toFixed(1) : "\u2026"],
              ["In the log, up to", count(graph.logEndOffset)],
              ["Applied, up to", count(graph.appliedOffset)],
              ["Still to be applied", count(Number(graph.logEndOffset ?? 0) - Number(graph.appliedOffset ?? 0))],
              ["Newest event", time(graph.newestEventTime)],
              ["Users", count(graph.users)],
              ["Edges", count(graph.edges)],
              ["Digest", graph.digest],
            ]}
          />
          {rates.length > 1 && <Line values={rates} label={`Applied per second, the last ${rates.length} looks; at most ${Math.max(...rates).toFixed(1)}`} />}
          <h2>Quality</h2>
          <Lists
            caption={`How well each list found what was taken next; ${blend.learning ? "learning" : "not learning"}, ${count(blend.stepCount)} steps`}
            lists={blend.lists}
            name="quality"
          />
          {(blend.contexts ?? []).map((context) => (
            <details key={context.context}>
              <summary>{`Users of the context ${context.context}`}</summary>
              <Lists caption={`Context ${context.context}`} lists={context.lists} name={`quality-${context.context}`} />
            </details>
          ))}
          <h2>Snapshot</h2>
          <Figures
            name="snapshot"
            values={[
              ["Snapshot", snapshot.version],
              ["Made", time(snapshot.createTime)],
              ["Trained users", count(snapshot.users)],
              ["Trained items", count(snapshot.items)],
              ["Dimensions", count(snapshot.embeddingDim)],
              ["User clusters", count(snapshot.userClusters)],
              ["Item clusters", count(snapshot.itemClusters)],
              ["Rankers", (snapshot.rankers ?? []).join(", ") || "none"],
            ]}
          />
          <details>
            <summary>Measured in training</summary>
            <Table
              caption="Measured in training"
              name="training"
              rows={Object.entries(snapshot.trainingMetrics ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))}
              columns={[
                { title: "Measure", head: true, cell: ([name]) => name },
                { title: "Value", kind: "number", cell: ([, value]) => value },
              ]}
            />
          </details>
          <details>
            <summary>Configuration in effect</summary>
            <pre tabIndex={0} role="region" aria-label="Configuration in effect">{status.configuration}</pre>
          </details>
        </>
      )}
      <h2>This page's calls</h2>
      <OwnCalls />
    </>
  );
}
