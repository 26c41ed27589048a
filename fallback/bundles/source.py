"""A bundle as a source: the setting `bundle` names a tar, and its files are had from it as from any other source.

What is in it is found by one walk over its headers, once in a run and whenever the file has changed; a file is
asked for by its SHA-256, as the bundle's own manifest tells it, and its bytes are proven as all are: a bundle
that is wrong is a source that is wrong. Loaded where a bundle is set, and with nothing of what makes and installs
bundles. Exclusions: one that is compressed is no source: nobody could begin in the middle of it.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from fallback import tar
from fallback.bundles.input import PIECE, ZSTD_MAGIC, Input
from fallback.errors import BundleError, ManifestError
from fallback.exchange import Request
from fallback.manifest import MAX_MANIFEST_BYTES, Manifest
from fallback.names import MANIFEST
from fallback.outcome import Failed, NotHere, Unavailable
from fallback.streams import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import FileIO
    from pathlib import Path

    from fallback.exchange import Head
    from fallback.facts import LayerName
    from fallback.outcome import Outcome
    from fallback.wanted import Wanted


@dataclass(frozen=True, slots=True)
class InBundle:
    """The bundle at `path`, after all others. To know what it has, its headers are read: nothing else is, here."""

    path: Path
    layer: LayerName = field(default="bundle", init=False)
    _index: _Index = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_index", _Index(self.path))

    @property
    def name(self) -> str:
        """The file's name, and that it is no host's."""
        return f"{self.path.name} (bundle)"

    def request(self, wanted: Wanted) -> Request | None:
        """By its SHA-256; None if the bundle does not hold it. One that cannot be read says so when it is asked."""
        sha256 = wanted.file.sha256
        if sha256 is None or not self._index.may_have(sha256):
            return None
        stream = Stream(lambda start: self._index.open(sha256, start))
        return Request(f"{self.path.as_uri()}#{quote(wanted.model.target(wanted.file))}", stream=stream)

    def problem(self) -> str | None:
        """Why nothing can be had from it, whatever file is wanted; None if it can be, or that is not sure."""
        return self._index.problem()

    def denied(self, head: Head) -> Outcome:
        """Nobody is asked for leave."""
        return NotHere(f"not there ({head.status})")


class _Index:
    """Where in a bundle the bytes of each SHA-256 are: as it was when it was last looked at."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._mark: tuple[int, ...] | None = None
        self._places: dict[str, tar.Member] = {}

    def problem(self) -> str | None:
        """Why it is no bundle that files can be had from; None where the disk fails, which says nothing of it."""
        try:
            with self._opened() as stream:
                self._looked(stream)
        except Failed as failed:
            return failed.outcome.reason if isinstance(failed.outcome, NotHere) else None
        except (FileNotFoundError, NotADirectoryError) as error:
            return f"it is not there ({error.strerror})"
        except PermissionError as error:
            return f"it may not be read ({error.strerror})"
        except OSError:
            return None
        return None

    def may_have(self, sha256: str) -> bool:
        """Whether it holds the file; also if that cannot be known, so that it is told why."""
        try:
            with self._opened() as stream:
                return sha256 in self._looked(stream)
        except (OSError, Failed):
            return True

    def open(self, sha256: str, start: int) -> tuple[FileIO, int]:
        """The file with this SHA-256, from byte `start` on, and its size.

        Raises:
            OSError: the bundle cannot be read, or does not hold it any more.
            Failed: it is no bundle.
        """
        stream = self._opened()
        try:
            member = self._found(stream, sha256)
            stream.seek(member.start + start)
        except BaseException:
            stream.close()
            raise
        return stream, member.size

    def _opened(self) -> FileIO:
        if not stat.S_ISREG(self._path.stat().st_mode):  # a pipe would be waited for, for ever
            raise Failed(NotHere("the bundle is no file"))
        return self._path.open("rb", buffering=0)

    def _found(self, stream: FileIO, sha256: str) -> tar.Member:
        member = self._looked(stream).get(sha256)
        if member is None:
            raise FileNotFoundError(errno.ENOENT, "the bundle does not hold it")
        return member

    def _looked(self, stream: FileIO) -> dict[str, tar.Member]:
        about = os.fstat(stream.fileno())
        mark = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
        with self._lock:
            if mark != self._mark:
                self._places = _walked(stream)
                self._mark = mark
            return self._places


def _walked(stream: FileIO) -> dict[str, tar.Member]:
    """Each member that the bundle's manifest names, by its SHA-256.

    Raises:
        Failed: it is no bundle that can be a source (`NotHere`), or cannot be read.
    """
    bundle = Input(stream)
    try:
        if bundle.look(4) == ZSTD_MAGIC:
            raise Failed(NotHere("the bundle is compressed: unpack it (`zstd -d`), or install it"))
        return _places(tar.Tar(bundle))
    except (tar.TarError, ManifestError) as error:
        raise Failed(NotHere(f"the bundle cannot be used: {error}")) from None
    except BundleError as error:  # its disk fails
        raise Failed(Unavailable(str(error))) from error


def _places(archive: tar.Tar) -> dict[str, tar.Member]:
    members = archive.members()
    manifest = Manifest.parse(manifest_text(archive, members), name="its manifest")
    digests = {model.target(file): file.sha256 for model, file in manifest.files()}
    places: dict[str, tar.Member] = {}
    for member in members:
        sha256 = digests.pop(member.name, None)
        if sha256 is None:
            raise tar.TarError("a file that its manifest does not name, or names once")
        places[sha256] = member
    return places


def manifest_text(archive: tar.Tar, members: Iterator[tar.Member]) -> bytes:
    """What the first member of a bundle says.

    Raises:
        TarError: it is no manifest, or a giant one.
    """
    first = next(members, None)
    if first is None or first.name != MANIFEST:
        raise tar.TarError(f"its first file is no {MANIFEST}")
    if first.size > MAX_MANIFEST_BYTES:
        raise tar.TarError(f"a manifest of {first.size} bytes; {MAX_MANIFEST_BYTES} are allowed")
    return b"".join(iter(lambda: archive.read(PIECE), b""))
