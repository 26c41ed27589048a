"""A case: one requirement, why it is one, and the scene that shows it. Cases are data, read from `cases/*.toml`.

Each case has a stable id (R-ORDER-3); the word in the middle is its group. A case of one run says its scene and what is
expected of it; one of several runs names a script (`scripts_*.py`). Exclusions: nothing here starts or measures.
"""

from __future__ import annotations

import functools
import re
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fakes.rules import rule_from_dict

if TYPE_CHECKING:
    from fakes.rules import Rule

Level = Literal["MUST", "SHOULD", "MAY"]
Result = Literal["right", "failure", "either"]

FOLDER = Path(__file__).parent / "cases"
LEVELS = ("MUST", "SHOULD", "MAY")
ID = re.compile(r"R-[A-Z]+-[0-9]+")
FEATURES = ("car", "events", "metrics", "publish", "token")
"""What a job may need beside fetching files; a client that does not know one of a job's needs exits 2."""


@dataclass(frozen=True)
class Expect:
    """What must have come of a run, beside what is true of every run.

    `result`: "right" is exit 0 and every file right; "failure" is exit 1 and none there; "either" is one of the two.
    `most` and `least` are numbers of requests by server (a glob), HEAD not counted unless the most is 0; `refetched` is
    how many bytes more than the files' own sizes may be sent, socket slack aside. `checks` are named in `checks.py`.
    """

    result: Result = "right"
    most: dict[str, int] = field(default_factory=dict)
    least: dict[str, int] = field(default_factory=dict)
    refetched: int | None = None
    within_s: float | None = None
    checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """One requirement and its scene; `origin` says where it comes from: "fault 24", "rule layers", "RFC 9110 …"."""

    id: str
    level: Level
    requirement: str
    why: str
    hint: str
    origin: tuple[str, ...]
    smoke: bool = False
    needs: tuple[str, ...] = ()
    sources: tuple[str, ...] = ("gateway1", "gateway2")
    files: dict[str, int] = field(default_factory=lambda: {"model.bin": 3_000_000})
    proofs: bool = False
    cids: bool = True
    rules: tuple[Rule, ...] = ()
    world: dict[str, Any] = field(default_factory=dict)
    job: dict[str, Any] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    around: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    system: tuple[str, ...] = ()
    script: str | None = None
    given: dict[str, Any] = field(default_factory=dict)
    expect: Expect = field(default_factory=Expect)
    seconds: float = 60.0

    @property
    def group(self) -> str:
        """The word in the middle of its id."""
        return self.id.split("-")[1]

    @property
    def faults(self) -> frozenset[int]:
        """Rows of the fault catalogue that it comes from."""
        return frozenset(int(text.split()[1]) for text in self.origin if text.startswith("fault "))


@functools.cache
def all_cases() -> dict[str, Case]:
    """Every case, by its id, in the order of the files' names and of the cases in them."""
    found: dict[str, Case] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        for document in tomllib.loads(path.read_text(encoding="utf-8"))["case"]:
            try:
                case = case_from_dict(document)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path.name}, {document.get('id')}: {error}") from error
            if case.id in found:
                raise ValueError(f"{path.name}: {case.id} is there twice")
            found[case.id] = case
    return found


def case_from_dict(document: dict[str, Any]) -> Case:
    """A case from its table; ValueError or TypeError says what is wrong with it."""
    told = dict(document)
    told["rules"] = tuple(rule_from_dict(rule) for rule in told.get("rules", []))
    told["expect"] = Expect(**_tuples(told.get("expect", {}), "checks"))
    case = Case(**_tuples(told, "origin", "needs", "sources", "before", "around", "system"))
    if not ID.fullmatch(case.id):
        raise ValueError("an id is R-GROUP-number")
    if case.level not in LEVELS:
        raise ValueError(f"a level is one of {', '.join(LEVELS)}, not {case.level!r}")
    for each in fields(Case)[2:5]:
        text = getattr(case, each.name)
        if not isinstance(text, str) or not text.endswith("."):
            raise ValueError(f"{each.name} is a sentence with a full stop")
    unknown = set(case.needs) - set(FEATURES)
    if unknown or not case.origin:
        raise ValueError(f"needs {sorted(unknown)} are unknown" if unknown else "it has no origin")
    return case


def _tuples(table: dict[str, Any], *names: str) -> dict[str, Any]:
    """The table, with these lists as tuples."""
    return {name: tuple(value) if name in names else value for name, value in table.items()}
