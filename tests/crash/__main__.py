"""`python -m tests.crash [--kills N] [--seed S] [--workers N]`, or `--replay SCENARIO POINT…`.

Exit 0 if every promise held after every kill, else 1, with what did not and how to play it again.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from typing import TYPE_CHECKING

from tests.crash.kills import campaign, replayed

if TYPE_CHECKING:
    from tests.crash.kills import Tally


def main() -> int:
    """Kill, and tell."""
    options = _options()
    began = time.monotonic()
    if options.replay:
        name, *points = options.replay
        tally = replayed(name, points)
    else:
        print(f"seed {options.seed}", flush=True)
        tally = campaign(options.seed, options.kills, options.workers)
    print(report(tally, time.monotonic() - began))
    return 1 if tally.violations else 0


def report(tally: Tally, seconds: float) -> str:
    """What was done and found."""
    lines = [f"{count:6} kills: {where}" for where, count in sorted(tally.kills.items())]
    total = (
        f"{tally.kills.total()} kills, {tally.missed} runs that ended before, {tally.states} states checked"
    )
    lines += [f"{total}, {len(tally.violations)} violations, {seconds:.0f} s", *tally.violations]
    return "\n".join(lines)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument(
        "--seed", default=secrets.token_hex(4), help="of an earlier campaign, to have its points again"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes, each with a world of its own")
    parser.add_argument(
        "--replay", nargs="+", metavar=("SCENARIO", "POINT"), help="such as: fresh rename:2 moment:0.5"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
