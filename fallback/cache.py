"""The models folder: what is here, and the moment a file gets its name.

`lookup` answers from the `verified` row where size, mtime_ns, ctime_ns and inode still equal it,
and hashes otherwise; `commit` is fsync, rename, fsync of the folder, row, in that order, so that
the final name is absent or right at every instant (P1, P2). What stands in a file's place and is
not the file is set aside as `.bak`, never deleted, and its row goes before it does. What only a file
needs that no row vouches for is loaded with the first such file: a warm run has none. Exclusions:
nothing here knows where bytes come from (a `Partial` brings them), and every `OSError` leaves as
`StorageError`.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fallback import durable
from fallback.errors import StorageError, VerificationError, storage
from fallback.manifest import CHUNK_BYTES
from fallback.names import BAK, LEDGER, PARTIAL
from fallback.places import NO_FILE, Places, walked
from fallback.state.verified import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from fallback.manifest import File
    from fallback.partial import Partial
    from fallback.state.chunks import KnownChunks
    from fallback.state.verified import Verified
    from fallback.sweeping import Leftover
    from fallback.verify import Proof
    from fallback.wanted import Wanted

STALE_S = 60.0
"""A partial whose writer nobody can ask is adopted once nothing was written to it for so long."""


class Found(NamedTuple):
    """What stands in a file's place: what it was when it was looked at, and what is wrong with it, if anything."""

    about: os.stat_result
    wrong: VerificationError | None = None


class Cache(Places):
    """The models folder, and the rows that vouch for its files."""

    def __init__(
        self,
        models_dir: Path,
        state_dir: Path,
        verified: Verified,
        chunks: KnownChunks,
        *,
        alone: bool = False,
    ) -> None:
        super().__init__(models_dir, alone=alone)
        self._locks = state_dir / "locks"
        self._verified, self._chunks = verified, chunks
        self._folders = durable.Folders(models_dir)
        self._begun: set[Path] = set()
        self._crowded: set[Path] = set()
        self._under_way: list[Partial] = []
        self._room = threading.Lock()

    def vouched(self, wanted: Wanted, rows: Mapping[str, Row] | None = None) -> os.stat_result | None:
        """What the file is, if it is here and its row still vouches for it (one of `rows`); no byte is read."""
        try:
            about = os.lstat(self.place(wanted))
        except OSError:
            return None
        key, sha256 = self.key(wanted), wanted.file.sha256
        row = self._verified.get(key) if rows is None else rows.get(key)
        return about if row is not None and sha256 is not None and row.matches(about, sha256) else None

    def rows(self) -> dict[str, Row]:
        """All rows, for `vouched`: one question instead of one a file."""
        return self._verified.all()

    def known(self, wanted: Wanted) -> bool:
        """Whether the file is here and its row still vouches for it."""
        return self.vouched(wanted) is not None

    def lookup(
        self, wanted: Wanted, *, trust: bool = True, over: Callable[[], bool] = lambda: False
    ) -> Found | None:
        """What stands in the file's place, and what is wrong with it; None if nothing does.

        `trust`: a row that matches is enough, and a folder in its place is nobody's mistake but the
        caller's; otherwise every byte is read, and whatever is not the file is told as such. `over`:
        the run is to end, and reading stops.

        Raises:
            StorageError: it cannot be read; or, with `trust`, something that is no file stands there.
            StoppedError: `over` said so.
        """
        target = self.target(wanted)
        with storage(target):
            try:
                about = target.lstat()
            except (FileNotFoundError, NotADirectoryError):
                return None
            if trust and self.known(wanted):
                return Found(about)
            self.inside(target)
            if stat.S_ISLNK(about.st_mode):
                return Found(about, VerificationError("a symbolic link in the place of the file"))
            if not stat.S_ISREG(about.st_mode):
                if trust:
                    raise StorageError(target, NO_FILE)
                kind = "a folder" if stat.S_ISDIR(about.st_mode) else "a pipe, socket or device"
                return Found(about, VerificationError(f"{kind} in the place of the file"))
            if wanted.file.sha256 and wanted.file.size not in {None, about.st_size}:
                what = f"{about.st_size} bytes where {wanted.file.size} were promised"
                return Found(about, VerificationError(what))
            try:
                return self._proven(wanted, target, over)
            except FileNotFoundError:  # another process has set it aside, or somebody deleted it
                return None

    def _proven(self, wanted: Wanted, target: Path, over: Callable[[], bool]) -> Found:
        from fallback.verify import prove  # noqa: PLC0415 - see the module

        with target.open("rb", buffering=0) as stream:
            before = os.fstat(stream.fileno())
            try:
                proof = prove(self.listed(wanted.file), stream, over)
            except VerificationError as error:
                self._verified.drop(self.key(wanted))
                return Found(before, error)
            # Whoever put it there may not have: a row must not outlive bytes that a power cut takes.
            durable.sync(stream.fileno())
            # As it was before it was read: a file that was written to meanwhile does not match its row.
            self._vouch(wanted, before, proof, layer="cache", source="")
        return Found(before)

    def set_aside(self, wanted: Wanted, found: Found) -> Path | None:
        """Rename what was found wrong in the file's place; the name it is kept under.

        None if something else stands there by now: another process may have put the right file there.
        """
        target = self.target(wanted)
        kept = target.with_name(target.name + BAK)
        with storage(target):
            if not _same(target, found.about):
                return None
            if kept.exists() or kept.is_symlink():
                kept = target.with_name(f"{target.name}.{time.time_ns():x}{BAK}")
            # First: who is killed in between leaves a wrong file that is hashed, and not a row of none.
            self._verified.drop(self.key(wanted))
            try:
                target.rename(kept)
            except FileNotFoundError:  # somebody was quicker, or deleted it
                return None
        return kept

    def salvage(self, wanted: Wanted, kept: Path) -> None:
        """Leave a copy of what was set aside as a partial, if its chunks can say which part of it is wrong."""
        from fallback.partial import Partial  # noqa: PLC0415 - see the module

        file = self.listed(wanted.file)
        with contextlib.suppress(OSError, StorageError):  # no room for it: it is fetched as a whole
            if file.chunks and kept.lstat().st_size == file.size:
                self._begun.add(self.target(wanted))
                Partial.fresh(self.target(wanted), file).filled_from(kept)

    def partial(self, wanted: Wanted, *, reserve_bytes: int, over: Callable[[], bool]) -> Partial:
        """A partial beside the file's target: what another run left, hashed until `over`, or a new one.

        Raises:
            StorageError: it cannot be made, its folder leads out of the models folder (P8), or the
                disk has no room for the rest of it beside `reserve_bytes`. Nothing was requested yet.
        """
        import shutil  # noqa: PLC0415 - see the module

        from fallback import adoption  # noqa: PLC0415 - see the module
        from fallback.partial import Partial  # noqa: PLC0415 - see the module

        target = self.target(wanted)
        self.inside(target)  # before a folder is made on the other side of a link
        with storage(target.parent):
            is_new = self._folders.make(target.parent)
        # In a folder that this run has made nobody else has left anything.
        looks = not is_new or target in self._begun
        others = list(adoption.left_of(target, wanted.file)) if looks else []
        self._begun.add(target)
        if others:
            self._crowded.add(target)
        partial = adoption.adopt(others, target, wanted.file, quiet_s=STALE_S, over=over)
        partial = partial or Partial.fresh(target, wanted.file)
        with self._room:
            self._under_way = [each for each in self._under_way if each.left] + [partial]
            needed = sum(each.left for each in self._under_way) + reserve_bytes
            with storage(target.parent):
                free = shutil.disk_usage(target.parent).free
        if free < needed:
            partial.close()
            what = f"no room: {needed - free} bytes must be freed ({reserve_bytes} are kept in reserve)"
            raise StorageError(target.parent, what)
        return partial

    def commit(self, wanted: Wanted, partial: Partial) -> None:
        """Prove the whole file once more by its running hash, and give it its name.

        Raises:
            VerificationError: it is not the file; nothing was renamed.
            StorageError: the disk failed; the final name is as it was.
        """
        from fallback import adoption  # noqa: PLC0415 - see the module

        partial.proof.finish()
        partial.sync()
        target = self.target(wanted)
        with storage(target):
            if target.is_dir() and not target.is_symlink():
                raise StorageError(target, NO_FILE)
            about = partial.rename()
            durable.sync_folder(target.parent)
        last = partial.ledger.responses[-1]
        self._vouch(wanted, about, partial.proof, layer=last.layer, source=last.source)
        # Only where there were some: a folder of thousands of files is not to be read once more for each.
        for other in adoption.left_of(target, wanted.file) if target in self._crowded else ():
            if other.life == "dead":
                other.delete()

    def listed(self, file: File) -> File:
        """The file with the list of its chunks: the manifest's, or one of an earlier proof of the same bytes."""
        if file.chunks or file.sha256 is None or (file.size or 0) <= CHUNK_BYTES:
            return file
        return replace(file, chunks=self._chunks.get(file.sha256, file.size or 0, CHUNK_BYTES))

    def _vouch(self, wanted: Wanted, about: os.stat_result, proof: Proof, *, layer: str, source: str) -> None:
        sha256 = proof.finish()
        if proof.chunks:
            self._chunks.put(sha256, proof.chunks)
        row = Row(
            size=about.st_size,
            mtime_ns=about.st_mtime_ns,
            ctime_ns=about.st_ctime_ns,
            inode=about.st_ino,
            sha256=sha256,
            verified_at=time.time(),
            layer=layer,
            source=source,
        )
        self._verified.put(self.key(wanted), row)

    def lock(
        self, wanted: Wanted, *, timeout_s: float, waits: Callable[[], None], over: Callable[[], bool]
    ) -> AbstractContextManager[bool]:
        """Hold the file's lock, as `locks.held`: it saves a second download and nothing else."""
        import hashlib  # noqa: PLC0415 - see the module

        from fallback import locks  # noqa: PLC0415 - see the module

        name = hashlib.sha256(os.fsencode(self.key(wanted))).hexdigest()[:32]
        return locks.held(self._locks / f"{name}.lock", timeout_s=timeout_s, waits=waits, over=over)

    def left_over(
        self, wanted: Iterable[Wanted], partials_before: float, baks_before: float
    ) -> Iterable[Leftover]:
        """Partials that nobody writes to or wants, and files set aside, as old as these moments at least.

        `wanted`: all files of the manifest; a partial of one that is not here yet is kept for it.
        """
        places = ((folder, name) for folder, _, names in walked(self._root) for name in names)
        ours = [Path(folder) / name for folder, name in places if name.endswith((PARTIAL, LEDGER, BAK))]
        if not ours:
            return ()
        from fallback import sweeping  # noqa: PLC0415 - see the module

        rows = self.rows()
        missing = {
            (self.target(each), (each.file.sha256 or "")[:8])
            for each in wanted
            if self.vouched(each, rows) is None
        }
        vouched = {self._root / path for path in rows}
        return sweeping.left_over(ours, missing, vouched, partials_before, baks_before)


def _same(path: Path, about: os.stat_result) -> bool:
    """Whether `path` is still what it was when `about` was taken."""
    try:
        now = path.lstat()
    except FileNotFoundError:
        return False
    marks = [
        (each.st_dev, each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns) for each in (now, about)
    ]
    return marks[0] == marks[1]
