// What several parts of the page use: notes, tables, moments, and the list of what a person has to do.
import { age, listPath, moment, plural, secondsSince, taskName, taskPath } from "./text.js";

const React = globalThis.React;
export const h = React.createElement;

export function Note({ kind, children }) {
  return h("div", { className: "vdb-note", "data-kind": kind, role: kind === "problem" ? "alert" : undefined }, children);
}

export function Next({ children }) {
  return h("div", null, h("strong", null, "Next: "), children);
}

/**
 * A problem of one part. `told` is one that the page shows already, as when VideoDB refuses the key of every call.
 * `stale` says that the page shows what was read before.
 */
export function Problem({ problem, told, stale }) {
  if (problem && told && problem.next === told.next) {
    return h("p", { className: "vdb-muted" }, stale ? "The latest read failed, see above." : "Unknown, see above.");
  }
  return problem && h(Note, { kind: "problem" }, problem.what, problem.next && h(Next, null, problem.next));
}

export function Ago({ iso, words = "ago" }) {
  return h("time", { dateTime: iso, title: moment(iso) }, `${age(secondsSince(iso))} ${words}`.trim());
}

export function In({ iso }) {
  const left = -secondsSince(iso);
  return h("time", { dateTime: iso, title: moment(iso) }, left > 0 ? `in ${age(left)}` : `${age(-left)} ago`);
}

export function TaskLink({ base, task }) {
  if (!task.dag_id) return h("span", { className: "vdb-muted" }, "a task that is unknown, or that you may not see");
  return h("a", { href: taskPath(base, task), title: `Run ${task.run_id}` }, taskName(task));
}

/**
 * A table that becomes a list of cards on a phone.
 * `columns` are pairs of a title and what a row shows under it. A third entry marks figures.
 */
export function Table({ caption, columns, rows }) {
  const look = (isNumber) => (isNumber ? "vdb-number" : undefined);
  return h("table", null,
    h("caption", { className: "vdb-hidden" }, caption),
    h("thead", null, h("tr", null,
      columns.map(([title, , isNumber]) => h("th", { key: title, scope: "col", className: look(isNumber) }, title)))),
    h("tbody", null, rows.map((row, index) => h("tr", { key: index },
      columns.map(([title, cell, isNumber]) =>
        h("td", { key: title, "data-label": title, className: look(isNumber) }, cell(row)))))));
}

export function Panel({ title, children }) {
  return h("section", { className: "vdb-panel" }, h("h3", null, title), children);
}

export function PayButton({ task }) {
  const label = `Pay ${task.price} for ${taskName(task)}, on VideoDB's payment page in a new tab`;
  return h("a", { className: "vdb-button vdb-pay", href: task.url, target: "_blank", rel: "noopener noreferrer",
    "aria-label": label }, `Pay ${task.price}`);
}

function Todo({ kind, title, children, acts }) {
  return h("li", { className: "vdb-todo", "data-kind": kind },
    h("div", null, h("strong", null, title), h("div", { className: "vdb-muted" }, children)),
    h("div", { className: "vdb-acts" }, acts));
}

function TaskTodo({ task, connection, account, hasList, base }) {
  const titles = { pay: `Pay ${task.price}`, add_credits: "Add credits", resume: "The account is paused", approve: "Decide on a purchase",
    open_task: "Look at the task" };
  const asks = task.todo === "approve";
  const isListed = asks && hasList && globalThis.matchMedia("(max-width: 640px)").matches;
  const opens = h("a", { key: "task", className: asks ? "vdb-button vdb-pay" : "vdb-button",
    href: isListed ? listPath(base, task) : taskPath(base, task) + (asks ? "/required_actions" : ""),
    "aria-label": `Open ${asks ? "the request of" : ""} task ${taskName(task)}` }, asks ? "Open request" : "Open task");
  const pay = task.url && h(PayButton, { key: "pay", task });
  return h(Todo, { kind: "task", title: titles[task.todo], acts: [pay, opens] },
    h("div", null, h(TaskLink, { base, task }), " has waited for ", h(Ago, { iso: task.since, words: "" }), ". ", task.why),
    h("div", null, connection && `Connection ${connection}. `, task.url && task.expires && [
      "The link expires ", h(In, { key: "expires", iso: task.expires }), ". "],
    task.gives_up && ["The task stops waiting ", h(In, { key: "end", iso: task.gives_up }), "."]),
    isListed && h(Next, null, "Tap the symbol beside the request in the list."),
    task.todo === "add_credits" && h(Next, null, "Buy credits in VideoDB's console. The task then continues automatically."),
    task.todo === "resume" && h(Next, null, "If nobody needs the pause now, end it with ",
      h("code", null, `airflow videodb holds resume --account ${account}`)));
}

/** A purchase of which only a person can say how it ended. */
function UnknownTodo({ one, connection, base }) {
  const other = connection === "videodb_default" ? "" : ` --conn-id ${connection}`;
  const command = (choice) => h("code", null, `airflow videodb answer ${one.id} ${choice}${other}`);
  const opens = h("a", { key: "task", className: "vdb-button", href: taskPath(base, one),
    "aria-label": `Open task ${taskName(one)}` }, "Open task");
  const next = one.resolution === null
    ? ["Look in VideoDB's console which checkout is this task's. Write it down, then clear the task.",
      h("div", { key: "one" }, "If one is: ", command("--checkout CHECKOUT_ID")), h("div", { key: "none" }, "If none is: ", command("--buy"))]
    : ["The resolution ", h("code", { key: "given" }, one.resolution), " is written. Clear the task, which then applies it."];
  return h(Todo, { kind: "problem", title: `Say how a purchase of ${one.price} ended`, acts: [opens] },
    h("div", null, h(TaskLink, { base, task: one }), ` (${one.state}) asked VideoDB `, one.asked_at && h(Ago, { iso: one.asked_at }),
      `, and the outcome is unknown. Connection ${connection}.`),
    one.reason.map((line, index) => h("div", { key: index, style: { overflowWrap: "anywhere" } }, line)),
    h(Next, null, ...next));
}

const ORDER = ["approve", "pay", "add_credits", "resume", "open_task"];

const UNREADABLE = "Airflow cannot read what it waits for: the Fernet key has changed, or another version of the provider deferred it.";

/**
 * What a person has to do, for all connections together.
 * `unreadable` are tasks that do not even say which connection they wait with.
 */
export function Todos({ ids, states, unreadable, base }) {
  const known = ids.map((id) => states[id]?.value).filter(Boolean);
  const problems = known.filter(problemOf);
  const unknown = known.flatMap((data) => (data.unknown?.value ?? []).map((one) => ({ one, connection: data.id })));
  const tasks = known.flatMap((data) => (data.tasks.value?.tasks ?? []).map((task) => ({
    task, connection: data.id, account: data.account, hasList: data.listed_requests_fit_a_phone })))
    .concat(unreadable.map((task) => ({ task: { ...task, todo: "open_task", why: UNREADABLE } })));
  const todo = tasks.filter(({ task }) => task.todo !== "nothing")
    .sort((one, two) => ORDER.indexOf(one.task.todo) - ORDER.indexOf(two.task.todo));
  const others = tasks.length - todo.length;
  const waiting = others ? ` ${plural(others, "task waits", "tasks wait")} without you.` : "";
  const isKnown = ids.every((id) => states[id]?.value || states[id]?.error);
  const isRead = known.every((data) => !data.unknown?.reading || data.unknown.value !== null);
  return h("section", { className: "vdb-card", "aria-labelledby": "vdb-todo" },
    h("div", { className: "vdb-head" }, h("h2", { id: "vdb-todo" }, "What needs you")),
    !isKnown && h("p", { role: "status" }, "Reading…"),
    h("ul", { style: { listStyle: "none", margin: 0, padding: 0 } },
      problems.map((data) => h(ProblemTodo, { key: data.id, data, base })),
      unknown.map((one) => h(UnknownTodo, { key: `${one.connection} ${one.one.id}`, ...one, base })),
      todo.map((one, index) => h(TaskTodo, { key: index, ...one, base }))),
    isKnown && isRead && !todo.length && !problems.length && !unknown.length && h("p", { className: "vdb-note", "data-kind": "good" },
      `Nothing.${waiting}`),
    todo.length + unknown.length > 0 && others > 0 && h("p", { className: "vdb-muted", style: { marginTop: 12 } }, waiting.trim()));
}

/** Without the list of checkouts, nobody knows whether a purchase has an unknown outcome. */
const problemOf = (data) => data.problem || data.usage?.error || data.unknown?.error;

function ProblemTodo({ data, base }) {
  const problem = problemOf(data);
  const edit = h("a", { key: "edit", className: "vdb-button", href: `${base}connections` }, "Open connections");
  return h(Todo, { kind: "problem", title: `VideoDB cannot be read with ${data.id}`, acts: [edit] },
    problem.what, h(Next, null, problem.next));
}
