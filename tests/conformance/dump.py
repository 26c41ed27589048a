"""Keeps what a failed case leaves, for whoever looks into it: jobs, journals, the client's output."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .stage import Stage


def keep(stage: Stage, folder: str | None) -> None:
    """Copy them to a folder of the case's name in `folder`; nothing without one."""
    if folder is None:
        return
    kept = Path(folder) / stage.case.id
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    (kept / "problems.txt").write_text("\n".join([stage.case.requirement, "", *stage.problems, ""]))
    for number, run in enumerate(stage.runs, start=1):
        shutil.copytree(stage.sandbox / f"run{number}", kept / f"run{number}")
        entries = [entry.to_dict() for entry in run.entries]
        (kept / f"run{number}" / "journal.json").write_text(json.dumps(entries, indent=1) + "\n")
