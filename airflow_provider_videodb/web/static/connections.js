// All connections in one table, for an Airflow with many of them.
import { Table, h } from "./parts.js";
import { dollars, figure } from "./text.js";

export const anchor = (id) => `vdb-${id}`;

/** Goes to the card. Airflow's router would load the whole page again. */
function goTo(event, id) {
  const heading = document.getElementById(anchor(id))?.querySelector("h2");
  event.preventDefault();
  heading?.scrollIntoView({ block: "start" });
  heading?.focus({ preventScroll: true });
}

const link = (id) => h("a", { href: `${location.pathname}#${encodeURIComponent(anchor(id))}`, onClick: (event) => goTo(event, id) }, id);

/** Writes one figure of each connection, once it was read. */
function column(states, name, write) {
  return (id) => {
    const data = states[id]?.value;
    if (!data) return states[id]?.error ? "unknown" : "…";
    const part = data[name];
    if (!part || part.value === null) return part?.reading ? "…" : "unknown";
    return write(part.value) + (part.error ? " (old)" : "");
  };
}

function left(spent) {
  if (spent.monthly_topup_limit === null) return "no limit";
  return spent.left_usd === null ? "unknown" : dollars(spent.left_usd);
}

export function Connections({ ids, states }) {
  return h("section", { className: "vdb-card", "aria-labelledby": "vdb-connections" },
    h("div", { className: "vdb-head" }, h("h2", { id: "vdb-connections" }, `${ids.length} connections`)),
    h(Table, { caption: "All connections", rows: ids, columns: [
      ["Connection", link],
      ["Balance in credits", column(states, "usage", (usage) => figure(usage.balance)), true],
      ["Used this month", column(states, "usage", (usage) => figure(usage.used_credits)), true],
      ["Bought this month", column(states, "month", (spent) => dollars(spent.paid_usd)), true],
      ["Left of the limit", column(states, "month", left), true],
      ["Waiting tasks", column(states, "tasks", ({ tasks }) => figure(tasks.length)), true]] }));
}
