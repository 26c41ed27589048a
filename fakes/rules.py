"""Which fault strikes which request: rules, each with an aim and a fault, asked in the order they were added.

An aim counts only requests that it matches, over all servers together: `first` = 2 is the first two of them, `after` = 2
all but those, `nth` = 3 the third alone, `probability` a die thrown for each (with its own seed, so the same requests give the same throws).
"""

from __future__ import annotations

import dataclasses
import random
import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from fakes.faults import fault_from_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from fakes.faults import Fault
    from fakes.faults.base import Level


@dataclass(frozen=True)
class Rule:
    """A fault and its aim: globs for server and path ("*" also crosses "/"), a method, and how often."""

    server: str
    fault: Fault
    path: str = "*"
    method: str | None = None
    first: int | None = None
    nth: int | None = None
    probability: float | None = None
    seed: int = 0
    after: int | None = None

    def __post_init__(self) -> None:
        at_requests = self.path != "*" or self.method is not None
        counted = (self.first, self.after, self.nth, self.probability) != (None, None, None, None)
        if self.fault.level == "server" and (at_requests or counted):
            raise ValueError(f"{self.fault.name} is about a whole server: it takes no path, method or count")
        if self.fault.level != "request" and at_requests:
            raise ValueError(f"{self.fault.name} comes before any request: it takes no path or method")
        if min(self.first or 0, self.after or 0) < 0 or (self.nth is not None and self.nth < 1):
            raise ValueError("first and after count from 0, nth from 1")
        if self.probability is not None and not 0 <= self.probability <= 1:
            raise ValueError(f"probability is 0 to 1, not {self.probability}")

    def matches(self, server: str, method: str, path: str) -> bool:
        """Whether the aim is at such a request, the counts aside."""
        return (
            fnmatchcase(server, self.server)
            and fnmatchcase(path, self.path)
            and self.method in {None, method}
        )

    def to_dict(self) -> dict[str, Any]:
        """The rule as JSON: what differs from the defaults."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        told = {name: value for name, value in fields.items() if value != defaults[name]}
        return {**told, "fault": self.fault.to_dict()}


def rule_from_dict(document: Mapping[str, Any]) -> Rule:
    """A rule from its JSON; ValueError says what is wrong with it."""
    known = {field.name for field in dataclasses.fields(Rule)}
    if not isinstance(document, dict) or not {"server", "fault"} <= set(document):
        raise ValueError(f'a rule is an object with "server" and "fault", not {document!r}')
    unknown = sorted(set(document) - known)
    if unknown:
        raise ValueError(
            f"a rule has no field {', '.join(map(repr, unknown))}; known: {', '.join(sorted(known))}"
        )
    kinds = {"server": str, "path": str, "method": str, "first": int, "after": int, "nth": int, "seed": int}
    for field, kind in kinds.items():
        value = document.get(field)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            raise ValueError(f"a rule's {field} is {kind.__name__}, not {value!r}")
    if not isinstance(document.get("probability", 0.0), int | float | None):
        raise ValueError(f"a rule's probability is a number, not {document['probability']!r}")  # noqa: TRY004  # one error for whatever is wrong with a document
    return Rule(**{**document, "fault": fault_from_dict(document["fault"])})


class _Aimed:
    """A rule at work: it remembers how many requests it has matched."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._seen = 0
        self._dice = random.Random(rule.seed)

    def strikes(self, level: Level, server: str, method: str, path: str) -> bool:
        rule = self.rule
        if rule.fault.level != level or not rule.matches(server, method, path):
            return False
        self._seen += 1
        if rule.first is not None and self._seen > rule.first:
            return False
        if rule.after is not None and self._seen <= rule.after:
            return False
        if rule.nth is not None and self._seen != rule.nth:
            return False
        return rule.probability is None or self._dice.random() < rule.probability


class Rules:
    """The rules in force. Safe from any thread; `changed` is called after each change, without the lock."""

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._changed = changed
        self._lock = threading.Lock()
        self._aimed: dict[int, _Aimed] = {}
        self._next = 1

    def add(self, rule: Rule) -> int:
        """Put a rule into force; returns the id by which it can be removed."""
        with self._lock:
            number, self._next = self._next, self._next + 1
            self._aimed[number] = _Aimed(rule)
        self._changed()
        return number

    def remove(self, number: int) -> None:
        """Take a rule out of force; KeyError if it is not."""
        with self._lock:
            del self._aimed[number]
        self._changed()

    def replace(self, rules: Iterable[Rule]) -> None:
        """Put these rules into force, and no others; all their counts begin anew."""
        aimed = [_Aimed(rule) for rule in rules]
        with self._lock:
            self._aimed = {self._next + index: rule for index, rule in enumerate(aimed)}
            self._next += len(aimed)
        self._changed()

    def rules(self) -> dict[int, Rule]:
        """The rules in force, by id."""
        with self._lock:
            return {number: aimed.rule for number, aimed in self._aimed.items()}

    def due(self, server: str, method: str, path: str) -> list[Fault]:
        """The faults that strike this request, in order; asking counts it."""
        return self._due("request", server, method, path)

    def due_on(self, level: Level, server: str) -> list[Fault]:
        """The faults of that level that strike this server, or a connection to it; asking counts it."""
        return self._due(level, server, "", "")

    def strike_on(self, level: Level, server: str) -> bool:
        """Whether any rule of that level is aimed at this server; asking counts nothing."""
        return any(
            rule.fault.level == level and rule.matches(server, "", "") for rule in self.rules().values()
        )

    def _due(self, level: Level, server: str, method: str, path: str) -> list[Fault]:
        with self._lock:
            # A list first: every rule counts the request, also one behind a rule that struck.
            return [
                aimed.rule.fault
                for aimed in self._aimed.values()
                if aimed.strikes(level, server, method, path)
            ]
