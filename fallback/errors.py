"""What this package raises, and who must act on it.

    FallbackError
    ├── ConfigError            the caller: nothing was requested, nothing was written
    │   ├── ManifestError      whoever wrote the manifest; every problem at once, each at its key
    │   ├── SettingsError      whoever set a flag, a variable or a line of fallback.toml
    │   └── UnknownModelError  whoever asked for a model by name
    ├── VerificationError      nobody: the engine answers it by asking another source
    │   ├── SizeError          the number of bytes is not the promised one
    │   └── DigestError        the bytes are not the promised ones
    ├── UnavailableError       whoever runs the network: no source could serve the file
    ├── BundleError            whoever made or carried the bundle: it is not used, and nothing of it is visible
    ├── PublishError           whoever publishes: what came back is not what was sent; nothing was recorded
    ├── StorageError           whoever runs this machine: disk full, read-only, not a folder
    ├── BusyError              nobody: another call of this process is still getting the same models
    └── StoppedError           nobody: a caller or a signal ended the run; partials stay

A failed request is not an exception of this tree: it is an `outcome`, and what is done about it
is decided in `plan`. No message holds a token or the query of a signed URL.
"""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path


SHOWN = 50
"""Problems that a message has room for: a document of a million lines can have a million."""


def listed(lines: Iterable[str], count: int) -> str:
    """The first `SHOWN` of `count` lines, each on a line of its own, and how many more there are."""
    more = f"\n  … and {count - SHOWN} more" if count > SHOWN else ""
    return "".join(f"\n  {line}" for line in lines) + more


AGAIN = "free space on its disk, then run this again"
FREE = f"{AGAIN}: what had come is kept"
QUOTA = "this user's quota is used up"
ADVICE = {
    errno.ENOSPC: FREE,
    errno.EDQUOT: f"{QUOTA}; {FREE}",
    errno.EFBIG: "files may not be so large there; raise `ulimit -f`, or choose another models_dir",
    errno.EROFS: "mount it for writing, or choose another models_dir",
    errno.EACCES: "give this user the right to it, or choose another models_dir",
    errno.EPERM: "give this user the right to it, or choose another models_dir",
    errno.EIO: "the disk fails; look into the system's log, and check the disk",
    errno.ENAMETOOLONG: "choose a models_dir with a shorter path",
    errno.EEXIST: "a file stands where a folder has to be; move it away",
    errno.ENOTDIR: "a file stands where a folder has to be; move it away",
    errno.ELOOP: "symbolic links lead in a ring; remove them",
    errno.EXDEV: "it is not one file system; take away what is mounted in it, or choose another models_dir",
}
"""What whoever runs this machine can do, by what the system says."""

ADVICE_OF_WHOLE = {**ADVICE, errno.ENOSPC: AGAIN, errno.EDQUOT: f"{QUOTA}; {AGAIN}"}
"""The same of a file that is written whole or not at all: nothing of it is kept."""


class FallbackError(Exception):
    """Whatever this package raises on purpose."""


class ConfigError(FallbackError):
    """What was asked for makes no sense; no request was made and no file was touched."""


class Problem(NamedTuple):
    """One thing that is wrong with a document: where (a dotted path of keys) and what to do."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class ManifestError(ConfigError):
    """A manifest that cannot be used: all its problems at once, each pointing at its key."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        self.name = name
        self.problems: Sequence[Problem] = tuple(problems)
        super().__init__(
            f"manifest {name} cannot be used:{listed(map(str, self.problems[:SHOWN]), len(self.problems))}"
        )


class SettingsError(ConfigError):
    """A setting that cannot be used; the message names the setting and where it was set."""


class UnknownModelError(ConfigError):
    """A model that the manifest does not list; the message lists those it does."""


class VerificationError(FallbackError):
    """Bytes that are not what the manifest promises."""


class SizeError(VerificationError):
    """Too many bytes, or too few."""

    def __init__(self, *, expected: int, seen: int) -> None:
        self.expected, self.seen = expected, seen
        super().__init__(f"{seen} bytes where {expected} were promised")


class DigestError(VerificationError):
    """Bytes whose SHA-256 is another; `seen` is the digest they have, in hex."""

    def __init__(self, *, expected: str, seen: str) -> None:
        self.expected, self.seen = expected, seen
        super().__init__(f"sha256 {seen} where {expected} was promised")


class UnavailableError(FallbackError):
    """No source could serve the file; `reasons` gives each one's, in the order they were tried."""

    def __init__(
        self, name: str, reasons: Iterable[tuple[str, str]], what: str = "could not be had from any source"
    ) -> None:
        self.name = name
        self.reasons = tuple(reasons)
        lines = "".join(f"\n  {source}: {reason}" for source, reason in self.reasons)
        super().__init__(f"{name} {what}:{lines or ' none is configured for it'}")


class BundleError(FallbackError):
    """A bundle that is damaged, cut off, or holds what it may not; nothing of it is visible."""


class PublishError(FallbackError):
    """Whoever was to pin it says that it has something else; nothing was recorded."""


class StorageError(FallbackError):
    """This machine's disk, not the network: never retried, never blamed on a source.

    `summary`: of a run, what it came to all the same.
    """

    def __init__(self, path: Path, what: str, summary: Any = None) -> None:
        self.path, self.what, self.summary = path, what, summary
        super().__init__(f"{path}: {what}")

    @classmethod
    def from_os(cls, error: OSError, path: Path, advised: Mapping[int, str] = ADVICE) -> StorageError:
        """Say what an `OSError` on `path` means to whoever must free or mend something."""
        what = error.strerror or str(error)
        advice = advised.get(error.errno or 0)
        return cls(path, f"{what}: {advice}" if advice else what)


class BusyError(FallbackError):
    """Another call was not done with the same models within `join_timeout_s`; it goes on."""


class StoppedError(FallbackError):
    """The run was told to stop; what had arrived is kept as partials for the next one."""


@contextlib.contextmanager
def storage(path: Path) -> Iterator[None]:
    """What the system says about `path` becomes a `StorageError`."""
    try:
        yield
    except OSError as error:
        raise StorageError.from_os(error, path) from error


@contextlib.contextmanager
def storage_of_whole(path: Path) -> Iterator[None]:
    """As `storage`, while `path` is written whole or not at all (`durable.replacing`): no message says that it is kept."""
    try:
        yield
    except OSError as error:
        raise StorageError.from_os(error, path, ADVICE_OF_WHOLE) from error
