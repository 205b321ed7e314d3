import { render } from "preact";
import { useState } from "preact/hooks";
import { session } from "./api.js";
import { Field, Form } from "./parts.jsx";
import { useRoute } from "./route.js";
import { Compare } from "./screens/compare.jsx";
import { Graph } from "./screens/graph.jsx";
import { Items } from "./screens/items.jsx";
import { Operations } from "./screens/operations.jsx";
import { Overview } from "./screens/overview.jsx";
import { User } from "./screens/user.jsx";
import { WhatIf } from "./screens/what_if.jsx";
import { Why } from "./screens/why.jsx";
import "./style.css";

const SCREENS = {
  overview: ["Overview", Overview],
  user: ["User", User],
  why: ["Why", Why],
  "what-if": ["What if", WhatIf],
  compare: ["Compare", Compare],
  graph: ["Graph", Graph],
  items: ["Items", Items],
  operations: ["Operations", Operations],
};

function Caller({ changed }) {
  const [known, setKnown] = useState(session.token !== "");
  const submit = (values) => {
    session.token = values.token ?? "";
    session.namespace = values.namespace ?? "";
    setKnown(session.token !== "");
    changed();
  };
  return (
    <details class="caller">
      <summary>{known ? "Token set" : "No token"}</summary>
      <Form submit={submit} button="Use" class="row">
        <Field label="Token" name="token" type="password" defaultValue={session.token} hint="Kept in this tab alone; empty: calls bring none" />
        <Field label="Namespace" name="namespace" defaultValue={session.namespace} hint="Empty: default" />
      </Form>
    </details>
  );
}

function Console() {
  const route = useRoute();
  const [caller, setCaller] = useState(0);
  const [name, Screen] = SCREENS[route.screen] ?? SCREENS.overview;
  return (
    <>
      <a class="skip" href="#content" onClick={(e) => (e.preventDefault(), document.getElementById("content").focus())}>
        Skip to the content
      </a>
      <header>
        <strong>Groundswell</strong>
        <nav aria-label="Screens">
          {Object.entries(SCREENS).map(([screen, [text]]) => (
            <a key={screen} href={`#/${screen}`} aria-current={text === name ? "page" : undefined}>
              {text}
            </a>
          ))}
        </nav>
        <Caller changed={() => setCaller(caller + 1)} />
      </header>
      <main id="content" tabIndex={-1}>
        <Screen key={`${name} ${caller}`} params={route.params} />
      </main>
    </>
  );
}

render(<Console />, document.getElementById("console"));
