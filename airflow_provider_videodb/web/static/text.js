// Words, figures and moments, as the page writes them.
const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

export function age(seconds) {
  let left = Math.max(0, Math.round(seconds));
  const parts = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count) parts.push(`${count} ${unit}`);
    else if (parts.length) break;
    if (parts.length === 2) break;
  }
  return parts.join(" ") || "0 s";
}

export const secondsSince = (iso) => (Date.now() - Date.parse(iso)) / 1000;

export function moment(iso) {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`;
}

export function figure(value) {
  return value === null || value === undefined ? "unknown" : value.toLocaleString("en-US", { maximumFractionDigits: 4 });
}

export const dollars = (value) => `${figure(value)} USD`;

export function plural(count, one, many = `${one}s`) {
  return `${figure(count)} ${count === 1 ? one : many}`;
}

// Half a character, which JSON may contain, would throw.
const encode = (text) => encodeURIComponent(String(text).replace(/[\ud800-\udfff]/gu, "?"));

export function taskPath(base, task) {
  const [dag, run, name] = [task.dag_id, task.run_id, task.task_id].map(encode);
  const mapped = task.map_index >= 0 ? `/mapped/${task.map_index}` : "";
  return `${base}dags/${dag}/runs/${run}/tasks/${name}${mapped}`;
}

/** The list with this request, which opens it in a drawer that fits a phone. The page of the task does not. */
export const listPath = (base, task) => `${base}required_actions?response_received=false`
  + `&subject_search=${encode("for VideoDB credits?")}&task_id_pattern=${encode(task.task_id)}`;

export const taskName = (task) =>
  `${task.dag_id} / ${task.task_id}${task.map_index >= 0 ? ` [${task.map_index}]` : ""}`;
