"""Hashes all files of a models folder again, and says what each came to.

Apart from `report`, whose other questions take longer to load than a small folder to hash. Exclusions: no
file is changed, and nothing is fetched (`engine.sync` with `rehash` does).
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from fallback.cache import Cache
from fallback.engine import load_manifest
from fallback.errors import StorageError
from fallback.state import remembered
from fallback.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fallback.settings import Settings


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file came to when every byte of it was read: `reason` says what is wrong with it."""

    model: str
    path: str
    size: int | None
    state: Literal["right", "wrong", "missing"]
    reason: str = ""


def check_files(settings: Settings, models: Sequence[str] = ()) -> list[Checked]:
    """Hash all files again, whatever is remembered of them; in the manifest's order, `jobs` at a time.

    No file is changed. What is remembered is: a file that is right needs no hashing at the next
    sync, and one that is wrong is fetched by it.

    Raises:
        ManifestError: the manifest cannot be used.
    """
    manifest = load_manifest(settings)
    manifest = manifest.select(models) if models else manifest
    with remembered(settings.state_path, _warn) as state, ThreadPoolExecutor(settings.jobs) as pool:
        cache = Cache(settings.models_dir, settings.state_path, state.verified, state.chunks)
        wanted = [Wanted(model, file) for model, file in manifest.files()]
        # The largest first: begun last, it would be hashed on one core while the others are idle.
        order = sorted(range(len(wanted)), key=lambda place: -(wanted[place].file.size or 0))
        stop = threading.Event()
        try:
            futures = {place: pool.submit(_check, cache, stop.is_set, wanted[place]) for place in order}
            return [futures[place].result() for place in range(len(wanted))]
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


def _check(cache: Cache, over: Callable[[], bool], wanted: Wanted) -> Checked:
    name = (wanted.model.name, wanted.file.path, wanted.file.size)
    try:
        found = cache.lookup(wanted, trust=False, over=over)
    except StorageError as error:
        return Checked(*name, "wrong", str(error))
    if found is None:
        return Checked(*name, "missing", "not there")
    return Checked(*name, "wrong" if found.wrong else "right", str(found.wrong or ""))


def _warn(message: str) -> None:
    sys.stderr.write(f"warning: {message}\n")
