// The credits page, "VideoDB" in Airflow's menu. Airflow imports this module and renders the component that it leaves in `globalThis.VideoDB`.
import { ConnectionCard } from "./connection.js";
import { Connections, anchor } from "./connections.js";
import { Note, Todos, h } from "./parts.js";
import { STYLE } from "./style.js";

const { useEffect, useRef, useState } = globalThis.React;
// Airflow may be served below a path, so the addresses come from that of this module.
const BASE = new URL("../../", import.meta.url).pathname;
const API = new URL("../api/", import.meta.url);
const REFRESH_MS = 30000;
// VideoDB has not responded yet.
const READING_MS = 2000;
// With more connections, each shows its figures and waiting tasks, and the rest on demand.
const MOST_UNFOLDED = 3;

class Refused extends Error {
  constructor(status) {
    super(`Airflow responded with ${status}`);
    this.status = status;
  }
}

async function read(path) {
  const response = await fetch(new URL(path, API), { credentials: "same-origin" });
  if (!response.ok) throw new Refused(response.status);
  return response.json();
}

/** Reads again and again while the page is visible. Keeps the last value after an error. */
function useRead(path) {
  const [state, setState] = useState({ value: null, error: null, at: 0 });
  const timer = useRef();
  useEffect(() => {
    let stopped = false;
    async function next() {
      clearTimeout(timer.current);
      let pause = REFRESH_MS;
      try {
        const value = await read(path);
        if (isReading(value)) pause = READING_MS;
        if (!stopped) setState({ value, error: null, at: Date.now() });
      } catch (error) {
        if (!stopped) setState((known) => ({ ...known, error }));
      }
      if (!stopped && !document.hidden) timer.current = setTimeout(next, pause);
    }
    const onVisible = () => !document.hidden && next();
    document.addEventListener("visibilitychange", onVisible);
    next();
    return () => {
      stopped = true;
      clearTimeout(timer.current);
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [path]);
  return state;
}

const isReading = (value) => Object.values(value).some((part) => part?.reading);

/** Renders again each second, because the page shows ages. */
function useClock() {
  const [, tick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => tick((count) => count + 1), 1000);
    return () => clearInterval(timer);
  }, []);
}

function describeRefusal(error) {
  if (error.status === 401) return ["You are no longer logged in.", "Log in again."];
  if (error.status === 403) return ["You may not read this connection.", "Ask an administrator for access to it."];
  if (error.status) return [`${error.message}.`, "Look for the error in the log of the API server."];
  return ["Airflow cannot be reached.", "Check your network. The page tries again every 30 seconds."];
}

function Refusal({ error }) {
  const [what, next] = describeRefusal(error);
  const login = `${BASE}api/v2/auth/login?next=${encodeURIComponent(location.href)}`;
  return h(Note, { kind: "problem" }, `${what} `, error.status === 401 ? h("a", { href: login }, next) : next);
}

function NoAccess() {
  return h("section", { className: "vdb-card" },
    h("h2", null, "You may not read a VideoDB connection"),
    h("p", { className: "vdb-muted" },
      "This page shows balances and purchases to people who may read the connection of the account. Ask an ",
      "administrator of this Airflow for read access to connections. Your tasks work without it."));
}

function NoConnection() {
  return h("section", { className: "vdb-card" },
    h("h2", null, "There is no VideoDB connection yet"),
    h("p", { className: "vdb-muted" },
      h("a", { href: `${BASE}connections` }, "Add a connection"), " of the type VideoDB. A connection of an environment ",
      "variable or a secrets backend appears here while a task waits with it."));
}

function Connection({ id, report, states, isFolded }) {
  const state = useRead(`connections/${encodeURIComponent(id)}`);
  useEffect(() => report(id, state), [id, state]);
  const refusal = state.error && h(Refusal, { error: state.error });
  if (state.value === null) {
    return h("section", { className: "vdb-card", id: anchor(id), "aria-label": `Connection ${id}` },
      h("div", { className: "vdb-head" }, h("h2", { tabIndex: -1 }, id)), refusal || h("p", null, "Reading…"));
  }
  const shared = Object.values(states).map((other) => other.value)
    .filter((other) => other?.account && other.id !== id && other.account === state.value.account).map((other) => other.id);
  const payable = new Set(Object.values(states).flatMap((other) => other.value?.tasks?.value?.tasks ?? [])
    .filter((task) => task.url).map((task) => task.checkout));
  return h(ConnectionCard, { data: state.value, refusal, base: BASE, at: state.at, shared, payable, isFolded });
}

function CreditsPage() {
  useClock();
  const list = useRead("connections");
  const [states, setStates] = useState({});
  const report = useRef((id, state) => setStates((known) => ({ ...known, [id]: state }))).current;
  const ids = list.value?.connections ?? [];
  const unreadable = list.value?.unreadable ?? [];
  const areMany = ids.length > MOST_UNFOLDED;
  return h("main", { className: "vdb", "aria-label": "VideoDB credits" },
    h("style", null, STYLE),
    h("div", { className: "vdb-page" },
      h("div", { className: "vdb-head" }, h("h1", null, "VideoDB credits")),
      list.error && h(Refusal, { error: list.error }),
      list.value === null && !list.error && h("p", { role: "status" }, "Reading…"),
      ids.length + unreadable.length > 0 && h(Todos, { ids, states, unreadable, base: BASE }),
      areMany && h(Connections, { ids, states }),
      ids.map((id) => h(Connection, { key: id, id, report, states, isFolded: areMany })),
      list.value && !list.value.may_read && h(NoAccess),
      list.value?.may_read && ids.length === 0 && h(NoConnection),
      ids.length > 0 && h("p", { className: "vdb-muted vdb-small" },
        "Airflow cannot list connections of environment variables and secrets backends. One of them appears here if ",
        "it is videodb_default, or while a task waits or has an unpaid purchase with it.")));
}

globalThis.VideoDB = CreditsPage;
