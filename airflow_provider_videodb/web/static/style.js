// The look of the page. The colours are those of Airflow's theme, so light, dark and own themes need no code.
export const STYLE = `
.vdb { height: 100%; overflow-y: auto; padding: 16px; box-sizing: border-box; color: var(--chakra-colors-fg);
  font-family: var(--chakra-fonts-body, sans-serif); font-size: 14px; line-height: 1.5;
  --tint: var(--chakra-colors-brand-solid); }
.dark .vdb { --tint: var(--chakra-colors-brand-400); }
.vdb *, .vdb *::before { box-sizing: border-box; }
.vdb-page { max-width: 1200px; margin: 0 auto; }
.vdb h1 { font-size: 20px; font-weight: 600; margin: 0; }
.vdb h2 { font-size: 16px; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
.vdb h3 { font-size: 14px; font-weight: 600; margin: 0 0 8px; }
.vdb p { margin: 0; }
.vdb a { color: var(--chakra-colors-fg-info, var(--chakra-colors-blue-fg)); overflow-wrap: anywhere; }
.vdb a:hover { text-decoration: underline; }
.vdb a:focus-visible, .vdb h2:focus-visible, .vdb summary:focus-visible { outline: 2px solid var(--tint); outline-offset: 2px; }
.vdb code { font-family: var(--chakra-fonts-mono, monospace); font-size: 12px; overflow-wrap: anywhere;
  background: var(--chakra-colors-bg-muted); border-radius: 4px; padding: 1px 4px; }
.vdb-muted { color: var(--chakra-colors-fg-muted); }
.vdb-small { font-size: 12px; }
.vdb-head { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: baseline; margin-bottom: 12px; }
.vdb-card { border: 1px solid var(--chakra-colors-border-emphasized); border-radius: 8px; padding: 16px;
  margin-bottom: 16px; background: var(--chakra-colors-bg); }
.vdb-grid { display: grid; gap: 16px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); }
.vdb-tiles { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 200px), 1fr));
  margin-bottom: 16px; }
.vdb-tile { border: 1px solid var(--chakra-colors-border); border-radius: 6px; padding: 12px;
  background: var(--chakra-colors-bg-subtle); min-width: 0; }
.dark .vdb-tile { background: var(--chakra-colors-bg-muted); }
.vdb-figure { font-size: 22px; font-weight: 600; line-height: 1.3; overflow-wrap: anywhere; }
.vdb-figure small { font-size: 13px; font-weight: 400; color: var(--chakra-colors-fg-muted); }
.vdb summary { cursor: pointer; font-weight: 600; padding: 4px 0; }
.vdb details[open] > summary { margin-bottom: 12px; }
.vdb-panel { min-width: 0; margin-bottom: 20px; }
.vdb-panel h3 ~ h3 { margin-top: 16px; }
.vdb-todo { display: flex; flex-wrap: wrap; gap: 8px 16px; align-items: center; justify-content: space-between;
  border-left: 4px solid var(--chakra-colors-deferred-solid, #9810fa); padding: 8px 0 8px 12px; margin: 0 0 12px; }
.vdb-todo:last-child { margin-bottom: 0; }
.vdb-todo[data-kind=problem] { border-color: var(--chakra-colors-failed-solid, #e7000b); }
.vdb-todo > div { flex: 1 1 300px; min-width: 0; }
.vdb-acts { display: flex; flex-wrap: wrap; gap: 8px; flex: 0 1 auto !important; }
.vdb a.vdb-button { display: inline-block; border-radius: 4px; padding: 6px 14px; font-weight: 600; white-space: nowrap;
  border: 1px solid var(--chakra-colors-border-emphasized); color: var(--chakra-colors-fg); text-decoration: none; }
.vdb a.vdb-button:hover { background: var(--chakra-colors-bg-muted); text-decoration: none; }
.vdb a.vdb-pay { background: var(--chakra-colors-brand-solid, #3c5b89); color: var(--chakra-colors-brand-contrast, #fff);
  border-color: transparent; }
.vdb a.vdb-pay:hover { background: var(--chakra-colors-brand-emphasized, #1d3358);
  color: var(--chakra-colors-brand-contrast, #fff); filter: brightness(1.1); }
.vdb-note { border-radius: 6px; padding: 8px 12px; margin-bottom: 12px; overflow-wrap: anywhere;
  background: var(--chakra-colors-bg-muted); }
.vdb-note[data-kind=problem] { background: var(--chakra-colors-red-subtle); color: var(--chakra-colors-red-fg); }
.vdb-note[data-kind=warning] { background: var(--chakra-colors-orange-subtle); color: var(--chakra-colors-orange-fg); }
.vdb-note[data-kind=good] { background: var(--chakra-colors-green-subtle); color: var(--chakra-colors-green-fg);
  margin: 0; }
.vdb-bar { display: block; height: 8px; border-radius: 4px; background: var(--chakra-colors-bg-emphasized); overflow: hidden; }
.vdb-bar > span { display: block; float: left; height: 100%; background: var(--tint); }
.vdb-bar > span + span { opacity: 0.45; }
.vdb table { width: 100%; border-collapse: collapse; }
.vdb th, .vdb td { text-align: left; vertical-align: top; padding: 6px 12px 6px 0; overflow-wrap: break-word;
  border-bottom: 1px solid var(--chakra-colors-border); }
.vdb th { font-weight: 600; font-size: 12px; color: var(--chakra-colors-fg-muted); white-space: nowrap; }
.vdb td.vdb-number, .vdb th.vdb-number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.vdb td:has(> a[title]) { min-width: 150px; }
.vdb time, .vdb-word { white-space: nowrap; }
.vdb tr:last-child td { border-bottom: 0; }
.vdb dl { display: grid; grid-template-columns: auto 1fr; gap: 4px 16px; margin: 0 0 12px; }
.vdb dt { color: var(--chakra-colors-fg-muted); }
.vdb dd { margin: 0; overflow-wrap: anywhere; }
.vdb-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 1000px) { .vdb-tiles { grid-template-columns: repeat(2, minmax(0, 1fr)); } }
@media (max-width: 640px) {
  .vdb { padding: 8px; }
  .vdb-card { padding: 12px; }
  .vdb-tiles { gap: 8px; }
  .vdb-tile { padding: 8px; }
  .vdb thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .vdb table, .vdb tbody, .vdb tr, .vdb td { display: block; }
  .vdb tr { padding: 8px 0; border-bottom: 1px solid var(--chakra-colors-border); }
  .vdb tr:last-child { border-bottom: 0; }
  .vdb td, .vdb td.vdb-number, .vdb td:has(> a[title]) { display: grid; grid-template-columns: 96px minmax(0, 1fr); gap: 8px; text-align: left;
    border: 0; min-width: 0; overflow-wrap: anywhere; padding: 2px 0; white-space: normal; }
  .vdb td::before { content: attr(data-label); color: var(--chakra-colors-fg-muted); font-size: 12px; line-height: 21px; }
  .vdb td:empty { display: none; }
  .vdb a.vdb-button { padding: 10px 16px; }
}
`;
