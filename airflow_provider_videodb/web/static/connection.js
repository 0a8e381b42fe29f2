// One connection: its figures, its waiting tasks, its holds and what changed last.
import { Ago, In, Note, Panel, PayButton, Problem, Table, TaskLink, h } from "./parts.js";
import { anchor } from "./connections.js";
import { age, dollars, figure, plural } from "./text.js";

const { Fragment } = globalThis.React;
const CHANGES = { completed: "Bought", released: "Hold ended" };

/** How old a value is, and why it is not newer. */
function Age({ part, at }) {
  if (part.age === null) return part.reading ? "VideoDB has not responded yet" : "never read";
  const old = `read ${age(part.age + (Date.now() - at) / 1000)} ago`;
  return part.error ? `${old}, the latest read failed` : old;
}

function Tile({ title, part, at, children }) {
  return h("div", { className: "vdb-tile" },
    h("div", { className: "vdb-muted" }, title),
    part.value === null ? h("div", { className: "vdb-figure" }, part.reading ? "…" : "unknown") : children,
    h("div", { className: "vdb-muted vdb-small" }, h(Age, { part, at })));
}

function Figure({ value, unit }) {
  return h("div", { className: "vdb-figure" }, figure(value), " ", h("small", null, unit));
}

function Tiles({ data, at }) {
  const { usage, month, holds } = data;
  const held = holds.value ? holds.value.held_credits : 0;
  const spent = month.value;
  const limit = spent?.monthly_topup_limit;
  return h("div", { className: "vdb-tiles" },
    h(Tile, { title: "Balance", part: usage, at }, usage.value && h(Figure, { value: usage.value.balance, unit: "credits" })),
    h(Tile, { title: "Available to a new gate", part: usage, at },
      usage.value && h(Figure, { value: usage.value.available, unit: "credits" }),
      usage.value && h("div", { className: "vdb-small" },
        [held && `${figure(held)} held`, usage.value.reserve && `${figure(usage.value.reserve)} in reserve`]
          .filter(Boolean).join(", "))),
    h(Tile, { title: "Used this month", part: usage, at }, usage.value && h(Figure, { value: usage.value.used_credits, unit: "credits" })),
    h(Tile, { title: "Bought this month", part: month, at },
      spent && h(Figure, { value: spent.paid_usd, unit: "USD" }),
      spent && spent.payable_usd > 0 && h("div", { className: "vdb-small" }, `${dollars(spent.payable_usd)} can still be paid`),
      spent && limit !== null && h("div", { className: "vdb-small" },
        spent.left_usd === null ? `of ${dollars(limit)}` : `${dollars(spent.left_usd)} left of ${dollars(limit)}`),
      spent && limit > 0 && h("span", { className: "vdb-bar", role: "img",
        "aria-label": `${dollars(spent.total_usd)} of ${dollars(limit)} count` },
        h("span", { style: { width: `${Math.min(100, (100 * spent.paid_usd) / limit)}%` } }),
        h("span", { style: { width: `${Math.min(100, (100 * spent.payable_usd) / limit)}%` } }))));
}

function UsageByKind({ part }) {
  const kinds = part.value?.by_kind ?? [];
  const most = Math.max(...kinds.map((one) => one.credits), 1e-9);
  const bar = (row) => h("span", { className: "vdb-bar", "aria-hidden": true, style: { marginTop: 6 } },
    h("span", { style: { width: `${Math.max(0, (100 * row.credits) / most)}%` } }));
  return h(Panel, { title: "Used this month, by kind" },
    kinds.length === 0 ? h("p", { className: "vdb-muted" }, part.value ? "VideoDB lists no use by kind." : "Unknown.")
      : h(Table, { caption: "Credits used this month, by kind", rows: kinds, columns: [
        ["Kind", (row) => row.kind], ["Credits", (row) => figure(row.credits), true], ["Share", bar]] }));
}

function Purchases({ data }) {
  const spent = data.month.value;
  const recharge = data.auto_recharge.value;
  const rows = [];
  if (spent) {
    rows.push(["Paid", dollars(spent.paid_usd)], ["Can still be paid", dollars(spent.payable_usd)]);
    rows.push(["Monthly limit", spent.monthly_topup_limit === null ? "none" : dollars(spent.monthly_topup_limit)]);
    if (spent.left_usd !== null) rows.push(["Left of the limit", dollars(spent.left_usd)]);
    rows.push(["Limit per purchase", spent.max_topup_amount === null ? "none" : dollars(spent.max_topup_amount)]);
    if (spent.largest_purchase_usd !== null) rows.push(["Largest purchase now", dollars(spent.largest_purchase_usd)]);
  }
  if (recharge) {
    rows.push(["Automatic recharge", recharge.enabled
      ? `on: ${figure(recharge.amount)} credits below ${figure(recharge.threshold)}` : "off"]);
  }
  return h(Panel, { title: spent ? `Purchases in ${spent.month} (UTC)` : "Purchases this month" },
    rows.length > 0 && h("dl", null, rows.map(([name, value]) => h(Fragment, { key: name }, h("dt", null, name), h("dd", null, value)))),
    spent?.unknown_checkouts.length > 0 && h(Note, { kind: "warning" },
      `${plural(spent.unknown_checkouts.length, "checkout")} cannot be added up in USD. Look at VideoDB's console.`),
    h(Problem, { problem: data.month.error, told: data.usage.error, stale: spent !== null }),
    data.auto_recharge.error?.next !== data.month.error?.next
      && h(Problem, { problem: data.auto_recharge.error, told: data.usage.error, stale: recharge !== null }));
}

function Waiting({ data, base }) {
  const part = data.tasks;
  const tasks = part.value?.tasks ?? [];
  return h(Panel, { title: "Waiting tasks" },
    h(Problem, { problem: part.error }),
    part.value && tasks.length === 0 && h("p", { className: "vdb-muted" }, "No task waits with this connection."),
    tasks.length > 0 && h(Table, { caption: "Waiting tasks", rows: tasks, columns: [
      ["Task", (task) => h(TaskLink, { base, task })],
      ["Why it waits", (task) => task.why],
      ["Since", (task) => h(Ago, { iso: task.since })],
      ["Stops waiting", (task) => (task.gives_up ? h(In, { iso: task.gives_up }) : "")],
      ["Pay", (task) => (task.url ? h(PayButton, { task }) : "")]] }),
    part.value?.more > 0 && h("p", { className: "vdb-muted" }, `${plural(part.value.more, "more task waits", "more tasks wait")}, with this or another connection.`));
}

/** `payable` are the checkouts that the page offers to pay, with any connection of the account. */
function OtherCheckouts({ data, payable, base }) {
  const own = new Set((data.tasks.value?.tasks ?? []).map((task) => task.checkout));
  const others = (data.checkouts?.value ?? []).filter((one) => !own.has(one.id) && !payable.has(one.id));
  return others.length > 0 && h(Panel, { title: "Other open checkouts" },
    h("p", { className: "vdb-muted" }, "This page has no links for them: no task that you may see is waiting for them, and VideoDB's list contains no links."),
    h(Table, { caption: "Other open checkouts", rows: others, columns: [
      ["Checkout", (one) => h("code", null, one.id ?? "without an id")],
      ["Made by", (one) => one.dag_id && h(TaskLink, { base, task: one })],
      ["Amount", (one) => (one.amount === null ? "unknown" : `${figure(one.amount)} ${one.currency ?? ""}`), true],
      ["Made", (one) => (one.created_at ? h(Ago, { iso: one.created_at }) : "unknown")],
      ["Expires", (one) => (one.expires_at ? h(In, { iso: one.expires_at }) : "unknown")]] }));
}

function state(row) {
  if (row.settles) return h("span", null, "released, counts until it settles ", h(In, { iso: row.settles }));
  if (row.run_has_ended) return `its DAG run has ended (${row.run_state})`;
  return row.run_state ? `its DAG run is ${row.run_state}` : "";
}

function Holds({ data, base, shared }) {
  const holds = data.holds.value;
  if (!holds) {
    return h(Panel, { title: "Holds" }, data.holds.error ? h(Problem, { problem: data.holds.error })
      : h("p", { className: "vdb-muted" }, "Credit holds need Airflow 3.3 or newer."));
  }
  const more = (holds.holders - holds.holds.length) + (holds.waiting - holds.queue.length);
  return h(Panel, { title: `Holds of account ${data.account}` },
    shared.length > 0 && h("p", { className: "vdb-muted" }, `Connections ${[data.id, ...shared].join(", ")} share these holds.`),
    holds.paused && h(Note, { kind: "warning" }, paused(holds.paused)),
    holds.holders + holds.waiting === 0 && h("p", { className: "vdb-muted" }, "Nobody holds or waits for credits."),
    holds.holds.length > 0 && h(Table, { caption: "Who holds credits", rows: holds.holds, columns: [
      ["Held by", (row) => h(TaskLink, { base, task: row })],
      ["Credits", (row) => figure(row.credits), true],
      ["For", (row) => (row.since ? h(Ago, { iso: row.since, words: "" }) : "")],
      ["State", state]] }),
    holds.queue.length > 0 && h("h3", null, `In the queue: ${figure(holds.waiting_credits)} credits`),
    holds.queue.length > 0 && h(Table, { caption: "Gates that wait, in the order of their turns", rows: holds.queue, columns: [
      ["Place", (row) => figure(row.place) + (row.priority ? ` (priority ${row.priority})` : "")],
      ["Gate", (row) => h(TaskLink, { base, task: row })],
      ["Credits", (row) => figure(row.credits), true],
      ["For", (row) => (row.since ? h(Ago, { iso: row.since, words: "" }) : "")],
      ["Why it waits", (row) => row.reason]] }),
    more > 0 && h("p", { className: "vdb-muted" }, `${figure(more)} more: `, h("code", null, `airflow videodb holds list --account ${data.account}`)));
}

function paused({ until, by, reason }) {
  const end = until ? h("span", null, "It ends ", h(In, { iso: until }), ". ") : "";
  return h("span", null, `The account is paused${by ? ` by ${by}` : ""}${reason ? `: ${reason}` : ""}. `, end, "No gate opens.");
}

function Changes({ data, base }) {
  const rows = data.changes.value ?? [];
  const knowsCheckouts = data.checkouts.value !== null;
  return h(Panel, { title: "Last changes" },
    h(Problem, { problem: data.changes.error }),
    !knowsCheckouts && h("p", { className: "vdb-muted" }, "What was bought is unknown, because VideoDB's list could not be read."),
    knowsCheckouts && data.changes.value && rows.length === 0
      && h("p", { className: "vdb-muted" }, "Nothing was bought or released yet."),
    rows.length > 0 && h(Table, { caption: "Last changes, the newest first", rows, columns: [
      ["When", (row) => h(Ago, { iso: row.at })],
      ["What", (row) => h("span", { className: "vdb-word" }, CHANGES[row.what] ?? "Checkout")],
      ["Details", (row) => h("span", null, row.text, ". ", row.dag_id && h(TaskLink, { base, task: row }),
        row.how && h("span", { className: "vdb-muted" }, ` (${row.how})`))]] }));
}

function Invoices({ data }) {
  const rows = data.invoices.value ?? [];
  const document = (row) => row.url && h("a", { href: row.url, target: "_blank", rel: "noopener noreferrer",
    "aria-label": `Invoice ${row.id}, in a new tab` }, "Open");
  return h(Panel, { title: "Invoices" },
    h(Problem, { problem: data.invoices.error, told: data.usage.error, stale: data.invoices.value !== null }),
    data.invoices.value && rows.length === 0 && h("p", { className: "vdb-muted" }, "VideoDB lists no invoice."),
    rows.length > 0 && h(Table, { caption: "Invoices, the newest first", rows, columns: [
      ["Date", (row) => row.at.slice(0, 10)], ["Invoice", (row) => row.id],
      ["Amount", (row) => `${figure(row.amount)} ${row.currency}`, true], ["State", (row) => row.status],
      ["PDF", document]] }));
}

/** `isFolded` shows on demand what matters less at night. */
export function ConnectionCard({ data, refusal, base, at, shared, payable, isFolded }) {
  const card = { className: "vdb-card", id: anchor(data.id), "aria-label": `Connection ${data.id}` };
  if (data.problem) {
    return h("section", card,
      h("div", { className: "vdb-head" }, h("h2", { tabIndex: -1 }, data.id)), refusal,
      h(Problem, { problem: data.problem }), h(Waiting, { data, base }));
  }
  const rest = [
    h(OtherCheckouts, { key: "others", data, payable, base }), h(Holds, { key: "holds", data, base, shared }),
    h("div", { key: "month", className: "vdb-grid" }, h(UsageByKind, { part: data.usage }), h(Purchases, { data })),
    h("div", { key: "past", className: "vdb-grid" }, h(Changes, { data, base }), h(Invoices, { data }))];
  return h("section", card,
    h("div", { className: "vdb-head" }, h("h2", { tabIndex: -1 }, data.id),
      h("span", { className: "vdb-muted vdb-small" }, "VideoDB's figures can be 15 minutes late.")),
    refusal, h(Problem, { problem: data.usage.error }),
    h(Tiles, { data, at }), h(Waiting, { data, base }),
    isFolded ? h("details", null, h("summary", null, "Holds, use, purchases, changes and invoices"), rest) : rest);
}
