import { useState } from "preact/hooks";
import { recommend } from "../api.js";
import { SideBySide, parseEvents, requestOf } from "../lists.jsx";
import { Busy, Field, Form, Heading, Problem, Table, useLoad } from "../parts.jsx";
import { go } from "../route.js";

const written = (event) => [event.itemId, event.eventType, event.weight].filter((part) => part !== undefined && part !== "").join(":");

function Events({ events, change }) {
  const [problem, setProblem] = useState("");
  const add = (values) => {
    if (/[,:]/.test(values.item + values.type)) {
      setProblem("An item or a type with a comma or a colon cannot be supposed here; the API takes it.");
      return;
    }
    setProblem("");
    change([...events, { itemId: values.item, eventType: values.type, ...(values.weight ? { weight: Number(values.weight) } : {}) }]);
  };
  return (
    <>
      <Form submit={add} button="Add" class="row" key={events.length} aria-label="Add an event">
        <Field label="Item" name="item" required />
        <Field label="Type" name="type" required defaultValue="purchase" list="event-types" />
        <datalist id="event-types">{["cart", "hide", "purchase", "return", "view"].map((type) => <option key={type} value={type} />)}</datalist>
        <Field label="Weight" name="weight" type="number" step="1" hint="Empty: the type's" />
      </Form>
      {problem && <p class="problem" role="alert">{problem}</p>}
      <Table
        caption="Supposed events, in their order"
        name="events"
        rows={events}
        empty="None yet."
        columns={[
          { title: "Item", head: true, cell: (row) => row.itemId },
          { title: "Type", cell: (row) => row.eventType },
          { title: "Weight", kind: "number", cell: (row) => row.weight ?? "the type's" },
          {
            title: "Remove",
            cell: (row, i) => (
              <button type="button" onClick={() => change(events.filter((_, other) => other !== i))} aria-label={`Remove ${written(row)}`}>
                Remove
              </button>
            ),
          },
        ]}
      />
    </>
  );
}

export function WhatIf({ params }) {
  const user = params.get("user") ?? "";
  const events = parseEvents(params.get("events"));
  const values = (over) => ({ user, n: params.get("n") ?? "20", ranker: params.get("ranker"), events: events.map(written).join(","), ...over });
  const { data, error, busy } = useLoad(() => {
    if (!user) return undefined;
    const request = requestOf(params);
    return Promise.all([recommend(request), events.length > 0 ? recommend({ ...request, hypotheticalEvents: events }) : null]);
  }, [params]);
  return (
    <>
      <Heading>What if</Heading>
      <p>What the list were had the user done something else. Nothing is written.</p>
      <Form submit={(entered) => go("what-if", { ...values({}), ranker: "", ...entered })} class="row" key={params.toString()}>
        <Field label="User" name="user" required defaultValue={user} />
        <Field label="Items" name="n" type="number" min="1" max="100" defaultValue={params.get("n") ?? "20"} />
        <Field label="Ranker" name="ranker" defaultValue={params.get("ranker") ?? ""} hint="Empty: the blend" />
      </Form>
      {user && <Events events={events} change={(changed) => go("what-if", values({ events: changed.map(written).join(",") }))} />}
      <Problem error={error} />
      <Busy busy={busy && user} />
      {data && <SideBySide left={data[0]} right={data[1] ?? data[0]} leftTitle="As it is" rightTitle="With the supposed events" />}
    </>
  );
}
