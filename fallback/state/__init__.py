"""What is remembered between runs, in one SQLite file: a small module a table.

Exclusions: nothing here is needed to get a file right. Losing all of it costs hashing the files
again and asking dead sources again (P2, P11).
"""

from __future__ import annotations

import contextlib
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from fallback.state.attempts import Attempts
from fallback.state.chunks import KnownChunks
from fallback.state.cids import Cids
from fallback.state.db import Database
from fallback.state.verified import Verified

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fallback.state.downloads import Downloads
    from fallback.state.etags import Etags
    from fallback.state.health import KnownHealth
    from fallback.state.versions import Versions

FILE_NAME = "state.sqlite3"


class State:
    """The tables of the file in `folder`; neither is made before something is asked or kept.

    Four of them are loaded when they are first asked: a run that finds all files here never does.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self.db = Database(folder / FILE_NAME, warn)
        self.attempts = Attempts(self.db)
        self.chunks = KnownChunks(self.db)
        self.cids = Cids(self.db)
        self.verified = Verified(self.db)

    @cached_property
    def downloads(self) -> Downloads:
        """Each file's way here."""
        from fallback.state.downloads import Downloads  # noqa: PLC0415 - see the class

        return Downloads(self.db)

    @cached_property
    def etags(self) -> Etags:
        """What HuggingFace called files when they were last asked about."""
        from fallback.state.etags import Etags  # noqa: PLC0415 - see the class

        return Etags(self.db)

    @cached_property
    def health(self) -> KnownHealth:
        """What is known of each source."""
        from fallback.state.health import KnownHealth  # noqa: PLC0415 - see the class

        return KnownHealth(self.db)

    @cached_property
    def versions(self) -> Versions:
        """What HuggingFace last said of each model."""
        from fallback.state.versions import Versions  # noqa: PLC0415 - see the class

        return Versions(self.db)

    def close(self) -> None:
        """Let go of the file; what is asked or kept after that is nothing."""
        self.db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def remembered(folder: Path, warn: Callable[[str], None]) -> Iterator[State]:
    """The state in `folder` for a question; with nothing there, an empty one elsewhere, for a question makes no folder."""
    import tempfile  # noqa: PLC0415 - a run has no use for it

    with contextlib.ExitStack() as opened:
        if not os.path.lexists(folder / FILE_NAME):
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        yield opened.enter_context(State(folder, warn))
