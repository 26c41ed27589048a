"""Makes a bundle: models that are here, in one file that another machine can install without a network.

The form, version 1. A tar (`tar`: POSIX ustar, pax where needed) whose first member is `.manifests.json`, a
manifest as `Manifest.to_json` writes it: its models by name, each one's files by path. Then these files in
this order, each under its path below the models folder; so `tar -x` in an empty models folder makes one that
`fallback sync --offline` accepts. Modes are 0644, owners and times 0: the same models give the same bytes, on
any machine (`.zst`: what is inside does; another version of zstd may pack it in other bytes).

Every file is proven while it is read, by SHA-256 and size; the bundle gets its name when the last one was
right, and nothing is left of it otherwise. Exclusions: no manifest is signed: who wants to know that a bundle
is of somebody they trust gets the manifest from there, and installs with `--manifest`.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from fallback import durable, tar
from fallback.bundles.input import zstd_of
from fallback.engine import load_manifest
from fallback.errors import ConfigError, StoppedError, StorageError, storage, storage_of_whole
from fallback.events import Uploading
from fallback.manifest import Manifest
from fallback.names import MANIFEST
from fallback.settings import Settings
from fallback.verify import BUFFER

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    from fallback.events import Observer
    from fallback.manifest import File, Model


class Writable(Protocol):
    """What a bundle is written to."""

    def write(self, data: bytes | memoryview, /) -> int:
        """Take all of it."""


TELL_S = 0.1
PACKED = (".zst", ".tzst")
"""Endings of names that ask for zstd."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle that was made holds; bytes are those of its files."""

    path: str
    models: tuple[str, ...]
    files: int
    bytes_total: int


def create_bundle(
    models: Sequence[str],
    output: Path | BinaryIO,
    *,
    settings: Settings | None = None,
    observer: Observer | None = None,
    stop: threading.Event | None = None,
) -> Bundle:
    """Write models of the manifest in force into one file; compressed if its name ends in `.zst`.

    Args:
        models: their names; none means all.
        output: the file; one that is there is replaced once the new one is whole. Or a stream: whoever reads it
            sees by the end that never came what was not whole.
        settings: None loads them from the environment and fallback.toml.
        observer: gets `Uploading` for each model.
        stop: set it from anywhere to end this.

    Raises:
        ConfigError: a file is not here or not right; each that is missing is named. Or `output` is a manifest in
            force or a file of its models.
        StorageError: a file cannot be read, or `output` not be written.
        StoppedError: `stop` was set. Whatever was raised, the file is as it was.
    """
    settings = settings or Settings.load()
    in_force = load_manifest(settings)
    if isinstance(output, Path):
        _check_free(output, in_force, settings)
    chosen = in_bundle_order(in_force.select(models) if models else in_force)
    _check_here(chosen, settings)
    name = output.name if isinstance(output, Path) else "stdout"
    told = observer or (lambda _event: None)
    writing = _Writing(settings, name, told, stop.is_set if stop else lambda: False)
    if isinstance(output, Path):
        _into_file(writing, chosen, output)
    else:
        writing.write(chosen, output)
        output.flush()
    names = tuple(model.name for model in chosen.models)
    return Bundle(
        str(output) if isinstance(output, Path) else name,
        names,
        sum(1 for _ in chosen.files()),
        chosen.total_bytes,
    )


def _into_file(writing: _Writing, chosen: Manifest, output: Path) -> None:
    zstd = zstd_of(str(output)) if output.name.endswith(PACKED) else None
    with storage(output):
        if output.exists() and not output.is_file():  # a device would be replaced by a file of its name
            raise StorageError(output, "is there, and is no file that could be replaced")
    with storage_of_whole(output), durable.replacing(output) as stream:
        into = _Output(stream, output)
        if zstd is None:
            writing.write(chosen, into)
        else:
            with zstd.ZstdFile(into, "w") as packed:
                writing.write(chosen, packed)


def _check_free(output: Path, in_force: Manifest, settings: Settings) -> None:
    """Refuse to write over what the bundle is made of: a file of any model of the manifest, or a manifest."""
    root = settings.models_dir
    manifests = [path for path in (settings.manifest, root / MANIFEST) if path is not None]
    targets = [root / model.target(file) for model, file in in_force.files()]
    with storage(output):
        # As a name in its folder, which is what a rename replaces, and as what a link of that name leads to.
        own = {output.parent.resolve() / output.name, Path(os.path.realpath(output))}
        for taken in (*manifests, *targets):
            if own & {taken, taken.parent.resolve() / taken.name, Path(os.path.realpath(taken))}:
                what = "a manifest in force" if taken in manifests else "a file of a model of the manifest"
                raise ConfigError(f"{output} is {what}: a bundle needs a name of its own")


def in_bundle_order(manifest: Manifest) -> Manifest:
    """The same models by name, each one's files by path: whoever lists them otherwise makes the same bundle."""
    models = sorted(manifest.models, key=lambda model: model.name.encode())
    return Manifest(tuple(replace(each, files=_sorted(each)) for each in models), name=manifest.name)


def _sorted(model: Model) -> tuple[File, ...]:
    return tuple(sorted(model.files, key=lambda file: file.path.encode()))


def _check_here(chosen: Manifest, settings: Settings) -> None:
    """Say all that is missing at once, before anything is read."""
    wrong = []
    for model, file in chosen.files():
        path = settings.models_dir / model.target(file)
        if file.sha256 is None or file.size is None:
            wrong.append(f"{model.target(file)}: the manifest has no SHA-256 or size of it")
        elif (size := _size_of(path)) is None:
            wrong.append(f"{model.target(file)}: is not here")
        elif size != file.size:
            wrong.append(f"{model.target(file)}: has {size} bytes, not {file.size}")
    if not chosen.models:
        raise ConfigError("the manifest has no model: there is nothing to bundle")
    if wrong:
        raise _refusal(wrong)


def _size_of(path: Path) -> int | None:
    """The bytes of the file there; None if there is none."""
    try:
        about = path.stat()
    except OSError:
        return None
    return about.st_size if stat.S_ISREG(about.st_mode) else None


def _refusal(wrong: Sequence[str]) -> ConfigError:
    lines = "".join(f"\n  {each}" for each in wrong)
    return ConfigError(
        f"no bundle can be made:{lines}\nrun `fallback sync` first, or `fallback verify --repair`"
    )


class _Output:
    """The file that is written: what the system says of it is not blamed on what is read."""

    def __init__(self, stream: BinaryIO, path: Path) -> None:
        self._stream, self._path = stream, path

    def write(self, data: bytes | memoryview) -> int:
        with storage_of_whole(self._path):
            return self._stream.write(data)

    def flush(self) -> None:
        with storage_of_whole(self._path):
            self._stream.flush()


class _Told:
    """Progress of one model, told now and then."""

    def __init__(self, model: Model, target: str, tell: Observer) -> None:
        self._model, self._target, self._tell = model.name, target, tell
        self._total = sum(file.size or 0 for file in model.files)
        self._done, self._began, self._at = 0, time.monotonic(), 0.0

    def went_on(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._at >= TELL_S or self._done == self._total:
            self._at, rate = now, self._done / max(now - self._began, 1e-6)
            self._tell(Uploading(self._model, "", self._target, self._done, self._total, rate))


@dataclass(frozen=True, slots=True)
class _Writing:
    settings: Settings
    name: str
    tell: Observer
    over: Callable[[], bool]

    def write(self, chosen: Manifest, into: Writable) -> None:
        text = chosen.to_json().encode()
        into.write(tar.header(MANIFEST, len(text)) + text + tar.padding(len(text)))
        buffer = memoryview(bytearray(BUFFER))
        for model in chosen.models:
            told = _Told(model, self.name, self.tell)
            for file in model.files:
                size = file.size or 0
                into.write(tar.header(model.target(file), size))
                self._file(model, file, into, buffer, told)
                into.write(tar.padding(size))
        into.write(tar.END)

    def _file(self, model: Model, file: File, into: Writable, buffer: memoryview, told: _Told) -> None:
        """The bytes of one file, proven."""
        path, sha256, left = self.settings.models_dir / model.target(file), hashlib.sha256(), file.size or 0
        with storage(path):
            stream = path.open("rb", buffering=0)
        with stream:
            while left:
                with storage(path):
                    count = stream.readinto(buffer[: min(left, BUFFER)])
                if not count:
                    break
                sha256.update(buffer[:count])
                into.write(buffer[:count])
                told.went_on(count)
                left -= count
                if self.over():
                    raise StoppedError("stopped")
            with storage(path):
                is_longer = bool(stream.read(1))
        if left or is_longer or sha256.hexdigest() != file.sha256:
            raise _refusal([f"{model.target(file)}: is not the file of the manifest"])
