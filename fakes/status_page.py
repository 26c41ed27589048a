"""The page at `/` of a world's control API: what the servers are, what is wrong with them, who asked for what.

Plain HTML without a script; whoever wants it newer loads it again. Everything on it is also there as JSON.
"""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from fakes.journal import Entry
    from fakes.rules import Rule

_ROWS = 100  # of the journal, the newest first
_LONG = 40  # characters of a cell that may be broken
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 2rem; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; vertical-align: top; }
td { font-family: ui-monospace, monospace; font-size: 13px; white-space: nowrap; }
td.long { white-space: normal; overflow-wrap: anywhere; }
td.number { text-align: right; }
:root { color-scheme: light dark; }
"""


def page(urls: Mapping[str, str], scenario: str, rules: Mapping[int, Rule], entries: Sequence[Entry]) -> str:
    """The whole document."""
    servers = [
        [name, url, ", ".join(rule.fault.name for rule in rules.values() if fnmatchcase(name, rule.server))]
        for name, url in urls.items()
    ]
    newest = entries[: -_ROWS - 1 : -1]
    body = [
        f"<h1>A world of fakes, playing {escape(scenario)}</h1>",
        '<p>As JSON: <a href="/scenario">scenario</a>, <a href="/faults">faults</a>, <a href="/journal">journal</a>.</p>',
        "<h2>Servers</h2>",
        _table(["name", "URL", "faults aimed at it"], servers),
        "<h2>Faults</h2>",
        _table(["id", "server", "fault", "aim"], ([number, *_rule(rule)] for number, rule in rules.items())),
        f"<h2>Journal: {len(entries)} requests{f', the last {_ROWS}' if len(entries) > _ROWS else ''}</h2>",
        _table(
            ["#", "server", "request", "range", "status", "bytes", "ended", "seconds", "faults"],
            map(_entry, newest),
        ),
    ]
    head = f'<meta charset="utf-8"><title>fakes: {escape(scenario)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>'


def _rule(rule: Rule) -> list[Any]:
    document = rule.to_dict()
    server, fault = document.pop("server"), document.pop("fault")
    name = fault.pop("name")
    return [
        server,
        f"{name} {json.dumps(fault) if fault else ''}",
        json.dumps(document) if document else "always",
    ]


def _entry(entry: Entry) -> list[Any]:
    asked = f"{entry.method} {entry.path}{'?' if entry.query else ''}{entry.query}"
    return [
        entry.seq,
        entry.server,
        asked.strip() or "(no request)",
        entry.range or "",
        entry.status or "",
        entry.bytes_sent,
        entry.ended,
        f"{entry.seconds:.3f}",
        ", ".join(entry.faults),
    ]


def _table(heads: Iterable[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = ["".join(f"<th>{head}</th>" for head in heads)]
    lines += ["".join(map(_cell, row)) for row in rows]
    if len(lines) == 1:
        return "<p>None.</p>"
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _cell(value: Any) -> str:
    kind = "number" if isinstance(value, int) else "long" if len(value) > _LONG else "short"
    return f'<td class="{kind}">{escape(str(value))}</td>'
