"""Reports as one static page of HTML: requirement by client, and behind each failure what was seen. No script, no file beside it."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIGNS = {
    "pass": "✓",
    "fail": "✗",
    "early": "◐",
    "xfail": "✗",
    "xpass": "✓!",
    "na": "n/a",
    "no": "no",
    "skipped": "?",
}
_KEY = (
    ("pass", "as required"),
    ("fail", "not so"),
    ("early", "right in the end, but unproven bytes stood under the final name before"),
    ("xfail", "not so, and the client's own list says why"),
    ("xpass", "as required, though the client's own list says otherwise: a failure"),
    ("na", "the client says that it does not do this"),
    ("no", "a MAY that it does not do"),
    ("skipped", "this machine could not play it"),
)
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --good: #1a7f37; --bad: #cf222e; --mid: #bf6a02; --dim: #777; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .3rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: baseline; }
th { font-weight: 600; background: Canvas; position: sticky; top: 0; vertical-align: bottom; }
th.r span { writing-mode: vertical-rl; transform: rotate(180deg); } .counts .r { min-width: 6.5rem; }
 td.r, th.r { text-align: center; white-space: nowrap; width: 1px; min-width: 2rem; padding: .35rem .3rem; }
th.id, th.level { width: 8.5rem; } th.level { width: 4rem; }
td.id { white-space: nowrap; font-family: ui-monospace, monospace; font-size: .85em; }
td.level { font-size: .8em; color: var(--dim); }
.pass { color: var(--good); } .fail, .xpass { color: var(--bad); font-weight: 600; } .early, .xfail { color: var(--mid); }
.na, .no, .skipped { color: var(--dim); }
summary { cursor: pointer; } details { margin: .15rem 0; } .more { color: var(--dim); font-size: .9em; }
pre { font-size: .78rem; line-height: 1.4; white-space: pre-wrap; overflow-wrap: anywhere; background: #8881; padding: .6rem; border-radius: 4px; margin: .4rem 0; }
ul { margin: .3rem 0; padding-left: 1.2rem; } .key span { margin-right: 1.2rem; white-space: nowrap; }
"""

Report = dict[str, Any]


def page(reports: Sequence[Report]) -> str:
    """The whole page; clients in the order given, cases in that of the first report that has them."""
    return "".join(_page(reports))


def _page(reports: Sequence[Report]) -> Iterator[str]:
    yield '<!doctype html><html lang="en"><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width"><title>Conformance of downloaders</title>'
    yield f"<style>{_STYLE}</style><h1>Conformance of downloaders</h1>"
    yield from _counts(reports)
    yield '<p class="key">'
    yield from (f'<span><b class="{name}">{SIGNS[name]}</b> {_text(what)}</span> ' for name, what in _KEY)
    yield "</p>"
    cases: dict[str, list[dict[str, Any]]] = {}
    for report in reports:
        for case in report["cases"]:
            known = cases.setdefault(case["group"], [])
            if case["id"] not in {each["id"] for each in known}:
                known.append(case)
    for group, listed in cases.items():
        yield from _group(group, listed, reports)


def _counts(reports: Sequence[Report]) -> Iterator[str]:
    """A line a client."""
    yield "<table class=counts><tr><th>client<th class=r>MUST<th class=r>SHOULD<th class=r>MAY<th class=r>n/a<th class=r>cases</tr>"
    for report in reports:
        yield f"<tr><td>{_text(report['client'])}"
        for counted in report["counts"].values():
            measured = sum(counted.get(name, 0) for name in ("pass", "fail", "xfail", "xpass", "no"))
            yield f"<td class=r>{counted.get('pass', 0)} of {measured}"
        missing = sum(case["result"] in {"na", "skipped"} for case in report["cases"])
        yield f"<td class=r>{missing}<td class=r>{len(report['cases'])}</tr>"
    yield "</table>"


def _group(group: str, cases: Sequence[dict[str, Any]], reports: Sequence[Report]) -> Iterator[str]:
    yield f"<h2>R-{_text(group)}</h2><table><tr><th class=id>case<th class=level>level<th>requirement"
    yield from (f"<th class=r><span>{_text(report['client'])}</span>" for report in reports)
    yield "</tr>"
    by_client = [{case["id"]: case for case in report["cases"]} for report in reports]
    for case in cases:
        yield f'<tr id="{_text(case["id"])}"><td class=id>{_text(case["id"])}<td class=level>{_text(case["level"])}<td>'
        yield from _requirement(case)
        found = {
            report["client"]: told[case["id"]]
            for report, told in zip(reports, by_client, strict=True)
            if case["id"] in told and told[case["id"]]["problems"]
        }
        yield from _failures(found)
        for told in by_client:
            name = _sign(told[case["id"]]) if case["id"] in told else None
            yield f'<td class="r {name}">{SIGNS[name]}' if name else "<td class=r>"
        yield "</tr>"
    yield "</table>"


def _requirement(case: dict[str, Any]) -> Iterator[str]:
    yield f"<details><summary>{_text(case['requirement'])}</summary><div class=more>"
    yield f"{_text(case['why'])}<br>{_text(case['hint'])}<br>From: {_text(', '.join(case['origin']))}.</div></details>"


def _failures(found: dict[str, dict[str, Any]]) -> Iterator[str]:
    """What was seen, client by client; of many behind one line."""
    if len(found) > 1:
        yield f"<details><summary class=more>what {len(found)} clients did</summary>"
    for client, case in found.items():
        yield from _failure(client, case)
    if len(found) > 1:
        yield "</details>"


def _failure(client: str, case: dict[str, Any]) -> Iterator[str]:
    why = f" {case['expected']}" if case.get("expected") else ""
    yield f'<details><summary class="{_sign(case)}">{_text(client)}<span class=more>{_text(why)}</span></summary><ul>'
    yield from (f"<li>{_text(problem)}" for problem in case["problems"])
    yield "</ul>"
    for number, run in enumerate(case["runs"], start=1):
        head = f"run {number}: exit {run['exit']}, {run['seconds']} s, {run['requests']} requests, {run['bytes']} bytes"
        yield f"<pre>{_text(head)}\n{_text(chr(10).join(run['journal']))}</pre>"
    yield "</details>"


def _sign(case: dict[str, Any]) -> str:
    return "early" if case["result"] in {"fail", "xfail"} and case["only_early"] else str(case["result"])


def _text(text: object) -> str:
    return html.escape(str(text))
