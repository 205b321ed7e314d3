import { useState } from "preact/hooks";
import { activateSnapshot, createBackup, createCheckpoint, getServerStatus, listSnapshots, rollBackSnapshot, verifyGraph } from "../api.js";
import { count, enumName, time } from "../format.js";
import { Busy, Confirmed, Field, Figures, Form, Heading, Problem, Table, useLoad } from "../parts.jsx";

// What an operation answered, as names and values.
const RESULTS = {
  checkpoint: (r) => [["Offset", count(r.offset)], ["Items", count(r.itemCount)], ["Bytes", count(r.sizeBytes)]],
  verify: (r) => [
    ["Applied, up to", count(r.appliedOffset)],
    ["Counters compared", count(r.counterCount)],
    ["Differences", count(r.differenceCount)],
    ["Users", count(r.userCount)],
    ["Items", count(r.itemCount)],
    ["Edges", count(r.edgeCount)],
    ["Digest", r.digest],
    ...(r.differences ?? []).map((text, i) => [`Difference ${i + 1}`, text]),
  ],
  backup: (r) => [["Directory", r.directory], ["In the log, up to", count(r.logEndOffset)]],
  snapshot: (r) => [
    ["Snapshot", r.version],
    ["Users", count(r.users)],
    ["Items", count(r.items)],
    ["Rankers", (r.rankers ?? []).join(", ") || "none"],
  ],
};

export function Operations() {
  const [done, setDone] = useState(null);
  const [running, setRunning] = useState("");
  const [directory, setDirectory] = useState("");
  const { data, error } = useLoad(() => Promise.all([getServerStatus(), listSnapshots()]), [done]);
  const [status, list] = data ?? [];
  const snapshots = list?.snapshots ?? [];
  const before = snapshots[1];
  const graph = status?.graph ?? {};
  const run = async (title, kind, call) => {
    setRunning(title);
    try {
      setDone({ title, kind, result: await call() });
    } catch (problem) {
      setDone({ title, problem });
    }
    setRunning("");
  };
  const idle = running === "";
  return (
    <>
      <Heading>Operations</Heading>
      <Problem error={error} />
      <Busy busy={!idle}>{`${running} is under way`}</Busy>
      {done && (
        <section class="done" aria-label="Done last" data-done={done.title}>
          <h2>{done.problem ? `${done.title} failed` : `${done.title} is done`}</h2>
          <Problem error={done.problem} />
          {done.result && <Figures name="done" values={RESULTS[done.kind](done.result)} />}
        </section>
      )}
      {data && (
        <>
          <h2>Log and graph</h2>
          <Figures
            name="lag"
            values={[
              ["In the log, from", count(graph.logBeginOffset)],
              ["In the log, up to", count(graph.logEndOffset)],
              ["Applied, up to", count(graph.appliedOffset)],
              ["Still to be applied", count(Number(graph.logEndOffset ?? 0) - Number(graph.appliedOffset ?? 0))],
              ["Newest checkpoint", graph.checkpoint ? `offset ${count(graph.checkpoint.offset)}, ${time(graph.checkpoint.createTime)}` : "none"],
            ]}
          />
          <h2>Snapshots</h2>
          <Table
            caption="Snapshots that served, the newest activation first"
            name="snapshots"
            rows={snapshots}
            columns={[
              { title: "Version", head: true, cell: (row) => row.version },
              { title: "State", cell: (row) => enumName(row.state, "SNAPSHOT_STATE_") },
              { title: "Activated", cell: (row) => time(row.activateTime) },
              { title: "Directory", cell: (row) => row.directory },
            ]}
          />
        </>
      )}
      <fieldset disabled={!idle} class="plain">
        <legend class="hidden">What can be done</legend>
        <div class="beside">
          <section>
            <h3>Check another snapshot</h3>
            <Form button="Validate" submit={(v) => run("The check", "snapshot", () => activateSnapshot({ directory: v.directory, validateOnly: true }))}>
              <Field label="Directory of a snapshot" name="directory" required value={directory} onInput={(e) => setDirectory(e.currentTarget.value)} hint="Absolute path on the server" />
            </Form>
            {directory && (
              <Confirmed title="Serve it" word="activate" button="Activate" run={() => run("The activation", "snapshot", () => activateSnapshot({ directory }))}>
                <p>{`Serves ${directory} without a pause; interactions stay.`}</p>
              </Confirmed>
            )}
            {before && (
              <Confirmed title="Roll back" word={before.version} button="Roll back" run={() => run("The roll back", "snapshot", () => rollBackSnapshot())}>
                <p>{`Serves ${before.version} again; interactions stay.`}</p>
              </Confirmed>
            )}
          </section>
          <section>
            <h3>Graph</h3>
            <p>
              <button type="button" onClick={() => run("The verification", "verify", () => verifyGraph())}>
                Verify every counter
              </button>{" "}
              <button type="button" onClick={() => run("The checkpoint", "checkpoint", () => createCheckpoint())}>
                Write a checkpoint
              </button>
            </p>
            <h3>Backup</h3>
            <Form button="Back up" submit={(v) => run("The backup", "backup", () => createBackup({ directory: v.directory }))}>
              <Field label="Directory of the backup" name="directory" required hint="Absolute path on the server, not there yet" />
            </Form>
          </section>
        </div>
      </fieldset>
    </>
  );
}
