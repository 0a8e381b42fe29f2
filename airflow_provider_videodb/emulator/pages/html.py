"""The look of the emulator's pages: one stylesheet, and a function that puts a page together."""

from __future__ import annotations

from html import escape

# Browsers apply form-action to the redirect after a form, too, and that leads to the caller's own site.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self' http: https:; base-uri 'none'; "
    "frame-ancestors 'none'"
)

_STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f5f6f8; --card: #ffffff; --ink: #16181d; --soft: #5c6370; --line: #e3e6eb;
  --accent: #4f46e5; --accent-ink: #ffffff; --good: #12805c; --bad: #b3261e; --wait: #9a6700;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0f1115; --card: #181b21; --ink: #eceef2; --soft: #9aa2b1; --line: #2a2f38;
    --accent: #8b85ff; --accent-ink: #12121a; --good: #4cc38a; --bad: #ff8a80; --wait: #e3b341;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
main { max-width: 960px; margin: 0 auto; padding: 40px 20px 64px; }
main.narrow { max-width: 520px; }
header { display: flex; align-items: baseline; justify-content: space-between; gap: 16px; margin-bottom: 24px; }
h1 { font-size: 20px; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 15px; margin: 0 0 12px; }
p { margin: 0 0 12px; }
.soft { color: var(--soft); }
.card {
  background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 20px 24px; margin-bottom: 20px;
}
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 20px; margin-bottom: 20px; }
.figures .card { margin: 0; }
.figure { font-size: 30px; font-weight: 650; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; }
.amount { font-size: 44px; font-weight: 680; letter-spacing: -0.03em; line-height: 1.1; margin: 4px 0 16px; }
.scroll { overflow-x: auto; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th {
  text-align: left; font-size: 12px; font-weight: 550; color: var(--soft); padding: 0 12px 8px 0; white-space: nowrap;
}
td { border-top: 1px solid var(--line); padding: 9px 12px 9px 0; vertical-align: middle; white-space: nowrap; }
td:last-child, th:last-child { padding-right: 0; text-align: right; }
code { font: 13px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 8px 20px; margin: 0 0 20px; }
dt { color: var(--soft); }
dd { margin: 0; text-align: right; overflow-wrap: anywhere; }
.badge {
  display: inline-block; padding: 1px 9px; border-radius: 999px; font-size: 12px; font-weight: 600;
  border: 1px solid currentColor;
}
.good { color: var(--good); } .bad { color: var(--bad); } .wait { color: var(--wait); }
button, .button {
  display: inline-block; font: inherit; font-weight: 600; text-decoration: none; text-align: center; cursor: pointer;
  border: 1px solid var(--accent); border-radius: 8px; padding: 10px 18px;
  background: var(--accent); color: var(--accent-ink);
}
.button.small { padding: 4px 12px; font-size: 13px; }
button.plain { background: transparent; color: var(--ink); border-color: var(--line); }
button:focus-visible, a:focus-visible { outline: 3px solid var(--wait); outline-offset: 2px; }
.wide button { width: 100%; margin-top: 10px; }
a { color: var(--accent); }
"""


def page(title: str, body: str, *, narrow: bool = False, refresh_seconds: int | None = None) -> str:
    """Return a whole page; `body` is HTML, `title` is not."""
    refresh = "" if refresh_seconds is None else f'<meta http-equiv="refresh" content="{refresh_seconds}">'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{refresh}<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main{' class=narrow' if narrow else ''}>{body}</main></body></html>"
    )


def badge(text: str, tone: str) -> str:
    """Return a small label; `tone` is good, bad or wait."""
    return f'<span class="badge {tone}">{escape(text)}</span>'


def facts(pairs: list[tuple[str, str]]) -> str:
    """Return names with their values, neither of them HTML yet."""
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f"<dl>{rows}</dl>"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a table; the cells are HTML, the heads are not."""
    head = "".join(f"<th>{escape(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
