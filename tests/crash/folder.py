"""What may be in a models folder after a run was killed, and after the next one was not.

Every byte is read, and the state database by SQLite alone (of a copy, so that looking changes nothing):
whatever the engine believes is held against what is there. Exclusions: how it got so (`kills`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.crash.stage import Stage

UNFINISHED = re.compile(r"\..+\.[0-9a-f]{8}-[0-9a-f]{4}(\.[0-9a-f-]+)?\.(partial|ledger)")
TEMPORARY = re.compile(r"\.(metrics|manifests)\.json\.[0-9a-f-]+\.tmp")
OWN = {".manifests.json", ".metrics.json"}
Row = tuple[str, int, int, int, str, str]


def after_a_kill(stage: Stage, old: Mapping[str, tuple[bytes, ...]]) -> Iterator[str]:
    """What is wrong; `old` is what may stand under a name instead of the right file: what did before the run."""
    right = stage.contents
    for path in files(stage.models_dir):
        name = path.relative_to(stage.models_dir).as_posix()
        if name in right:
            if path.read_bytes() not in {right[name], *old.get(name, ())}:
                yield f"{name}: wrong bytes under a final name (P1)"
        elif name.endswith(".bak"):
            if path.read_bytes() not in old.get(re.sub(r"(\.[0-9a-f]+)?\.bak$", "", name), ()):
                yield f"{name}: not what was set aside"
        elif name in OWN:
            yield from _parsed(path)
        elif not (UNFINISHED.fullmatch(path.name) or TEMPORARY.fullmatch(path.name)):
            yield f"{name}: nobody knows this name"
    yield from believed(stage)


def after_the_next(stage: Stage, set_aside: Mapping[str, tuple[bytes, ...]]) -> Iterator[str]:
    """What is wrong once a run has ended by itself: everything is right, believed, and nothing else is there."""
    yield from after_a_kill(stage, set_aside)
    names = {path.relative_to(stage.models_dir).as_posix() for path in files(stage.models_dir)}
    for name, data in stage.contents.items():
        if name not in names or (stage.models_dir / name).read_bytes() != data:
            yield f"{name}: not there and right after the next run"
    for name in names - stage.contents.keys() - OWN:
        if not name.endswith(".bak"):
            yield f"{name}: left over"
    unknown = stage.contents.keys() - {row[0] for row in rows(stage.state) if _matches(stage.models_dir, row)}
    for name in unknown:
        yield f"{name}: proven, and not remembered (P2)"


def believed(stage: Stage) -> Iterator[str]:
    """Rows that vouch for a file that is not what they say (P2, P6), or a database that a kill has broken."""
    try:
        for row in rows(stage.state):
            path = stage.models_dir / row[0]
            if _matches(stage.models_dir, row) and hashlib.sha256(path.read_bytes()).hexdigest() != row[5]:
                yield f"{row[0]}: a row vouches for wrong bytes (P6)"
    except sqlite3.Error as error:
        yield f"the state database is broken: {error}"


def rows(state: Path) -> list[Row]:
    """Of the table `verified`: path, size, mtime_ns, ctime_ns, inode, sha256."""
    with tempfile.TemporaryDirectory() as folder:
        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{state}{suffix}", f"{folder}/state{suffix}")
        if not Path(f"{folder}/state").exists():
            return []
        with contextlib.closing(sqlite3.connect(f"{folder}/state")) as db:
            if db.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
                raise sqlite3.DatabaseError("integrity_check fails")
            if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'verified'").fetchall():
                return []
            return db.execute("SELECT path, size, mtime_ns, ctime_ns, inode, sha256 FROM verified").fetchall()


def partials(stage: Stage, name: str) -> list[bytes]:
    """What is on disk of a file that is not there yet."""
    target = stage.models_dir / name
    found = target.parent.glob(f".{target.name}.*.partial") if target.parent.is_dir() else ()
    return [path.read_bytes() for path in found]


def files(models_dir: Path) -> list[Path]:
    """Every file in it but those of the state."""
    found = (path for path in models_dir.rglob("*") if not path.is_dir())
    return [path for path in found if path.relative_to(models_dir).parts[0] != ".fallback"]


def _matches(models_dir: Path, row: Row) -> bool:
    try:
        about = (models_dir / row[0]).lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    now = (about.st_size, about.st_mtime_ns, about.st_ctime_ns, str(about.st_ino))
    return now == row[1:5]


def _parsed(path: Path) -> Iterator[str]:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        yield f"{path.name}: is torn"
