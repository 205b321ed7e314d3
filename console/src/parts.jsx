// What the screens are made of.
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { address } from "./route.js";
import { count } from "./format.js";

// {data, error, busy} of an asynchronous `load`, begun anew whenever `inputs` change. The answer of
// an older load is dropped.
export function useLoad(load, inputs) {
  const [state, setState] = useState({ busy: true });
  useEffect(() => {
    let dropped = false;
    setState((before) => ({ ...before, busy: true }));
    Promise.resolve()
      .then(load)
      .then(
        (data) => !dropped && setState({ data, busy: false }),
        (error) => !dropped && setState({ error, busy: false }),
      );
    return () => {
      dropped = true;
    };
  }, inputs);
  return state;
}

// Counts up every `ms` while `running` and the page is seen.
export function useTicks(ms, running) {
  const [ticks, setTicks] = useState(0);
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => !document.hidden && setTicks((n) => n + 1), ms);
    return () => clearInterval(timer);
  }, [ms, running]);
  return ticks;
}

export function Field({ label, hint, ...input }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input id={id} autocomplete="off" spellcheck={false} aria-describedby={hint ? `${id}-hint` : undefined} {...input} />
      {hint && (
        <small id={`${id}-hint`}>{hint}</small>
      )}
    </div>
  );
}

export function Check({ label, ...input }) {
  return (
    <label class="check">
      <input type="checkbox" {...input} /> {label}
    </label>
  );
}

export function Choice({ label, options, ...select }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} {...select}>
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

// The form's own values go to `submit`, by name; several of one name joined by commas.
export function Form({ submit, button = "Show", children, ...rest }) {
  const submitted = (event) => {
    event.preventDefault();
    const values = {};
    for (const [name, value] of new FormData(event.currentTarget)) {
      const text = value.trim();
      if (text) values[name] = values[name] ? `${values[name]},${text}` : text;
    }
    submit(values);
  };
  return (
    <form onSubmit={submitted} {...rest}>
      {children}
      <button type="submit">{button}</button>
    </form>
  );
}

export function Problem({ error }) {
  if (!error) return null;
  const remedy = {
    unauthenticated: "Enter a token that the server knows, above.",
    permission_denied: "This token's client lacks the right; another token may have it.",
    unimplemented: "Where server.admin_address is set, operators' calls are answered there alone.",
  }[error.code];
  return (
    <p class="problem" role="alert">
      <strong>{error.code ?? "error"}</strong> {error.message} {remedy}
    </p>
  );
}

// Says what goes on without moving anything.
export function Busy({ busy, children = "Waiting for the server" }) {
  return (
    <p class="busy" role="status">
      {busy ? children : ""}
    </p>
  );
}

// columns: [{title, cell(row, index), kind: "number"?, head: true?}]
export function Table({ caption, columns, rows, name, empty = "None." }) {
  if (!rows?.length) {
    return (
      <div>
        <p class="caption">{caption}</p>
        <p>{empty}</p>
      </div>
    );
  }
  // Wide tables scroll by themselves, by keyboard too.
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={caption}>
      <table data-table={name}>
        <caption>{caption}</caption>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.title} scope="col" class={column.kind}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={row.key ?? i}>
              {columns.map((column) =>
                column.head ? (
                  <th key={column.title} scope="row" class={column.kind}>
                    {column.cell(row, i)}
                  </th>
                ) : (
                  <td key={column.title} class={column.kind}>
                    {column.cell(row, i)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

// Names and values, each with a data-figure of its name.
export function Figures({ values, name }) {
  return (
    <dl class="figures" data-figures={name}>
      {values.map(([title, value]) => (
        <div key={title}>
          <dt>{title}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

// A bar from the left, or from the middle where values may be negative. The figure stands beside it.
export function Bar({ value, most, both }) {
  const share = most > 0 ? Math.abs(value) / most : 0;
  const width = both ? 50 * share : 100 * share;
  const x = both ? (value < 0 ? 50 - width : 50) : 0;
  return (
    <svg class={value < 0 ? "bar below" : "bar"} viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
      <rect x={x} width={width} height="10" />
    </svg>
  );
}

export function NodeBars({ caption, values, name, nodes }) {
  const numbers = (values ?? []).map(Number);
  const most = Math.max(1, ...numbers);
  const rows = numbers.map((value, node) => ({ key: node, node, value })).filter((row) => row.value !== 0);
  return (
    <Table
      caption={caption}
      name={name}
      rows={rows}
      columns={[
        { title: nodes, kind: "number", head: true, cell: (row) => row.node },
        { title: "Count", kind: "number", cell: (row) => count(row.value) },
        { title: "Bar", kind: "wide", cell: (row) => <Bar value={row.value} most={most} /> },
      ]}
    />
  );
}

// The last values as a line.
export function Line({ values, label }) {
  const most = Math.max(1, ...values);
  const points = values.map((v, i) => `${i},${20 - (18 * v) / most}`).join(" ");
  return (
    <svg class="line" viewBox={`0 0 ${Math.max(1, values.length - 1)} 20`} preserveAspectRatio="none" role="img" aria-label={label}>
      <polyline points={points} vector-effect="non-scaling-stroke" />
    </svg>
  );
}

// Does `run` once `word` has been typed.
export function Confirmed({ title, word, button, run, children }) {
  const [typed, setTyped] = useState("");
  return (
    <form
      class="confirmed"
      onSubmit={(event) => {
        event.preventDefault();
        if (typed !== word) return;
        setTyped("");
        run();
      }}
    >
      <h3>{title}</h3>
      {children}
      <Field label={`Type ${word} to confirm`} value={typed} onInput={(e) => setTyped(e.currentTarget.value)} />
      <button type="submit" disabled={typed !== word}>
        {button}
      </button>
    </form>
  );
}

export function ItemLink({ id }) {
  return <a href={address("items", { item: id })}>{id}</a>;
}

// Moves the focus to a screen's heading when the screen comes, as a page load would.
export function Heading({ children }) {
  const heading = useRef();
  useEffect(() => {
    document.title = `${children} \u00b7 Groundswell`;
    if (document.body.dataset.arrived) heading.current.focus();
    document.body.dataset.arrived = "yes";
  }, [children]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {children}
    </h1>
  );
}
