"""What a bundle holds, one after the other: which models are to be expected, and then their files.

A tar says what it holds by a manifest of its own, a CAR by its roots: each must be the CID of a model or a file in
the manifest that is gone by, or a folder with the names of one of its models (then its CID is nobody's promise, and
its files' SHA-256 prove it). Exclusions: no byte is judged here but a CAR's blocks by their CIDs; that what comes
is expected, and once, is `installing`'s to see.
"""

from __future__ import annotations

import functools
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

from fallback import tar
from fallback.bundles.input import PIECE
from fallback.bundles.source import manifest_text
from fallback.errors import BundleError
from fallback.ipfs import car, reading
from fallback.ipfs.cid import Cid, CidError
from fallback.manifest import Manifest
from fallback.trustless import car_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from fallback.bundles.input import Input
    from fallback.manifest import File, Model


class Held(NamedTuple):
    """A file as the bundle has it: where it would go below the models folder, and its bytes from one of them on."""

    target: str
    size: int | None
    pieces: Callable[[int], Iterator[bytes]]


UNREADABLE = (tar.TarError, car.CarError, reading.DagError, CidError)
"""What reading them raises: the bundle is damaged, or none."""


def of_tar(source: Input) -> tuple[Manifest, Iterator[Held]]:
    """The manifest and the files of a tar.

    Raises:
        TarError: it is no bundle.
        ManifestError: its manifest cannot be used.
    """
    archive = tar.Tar(source)
    members = archive.members()
    manifest = Manifest.parse(manifest_text(archive, members), name="of the bundle")

    def pieces(start: int) -> Iterator[bytes]:
        archive.pass_over(start)
        while piece := archive.read(PIECE):
            yield piece

    return manifest, (Held(member.name, member.size, pieces) for member in members)


def of_car(source: Input, manifest: Manifest) -> Iterator[Model | Held]:
    """The models and files of a CAR, as far as `manifest` has them.

    Raises:
        CarError, DagError, CidError: it is damaged, or none.
        BundleError: it holds something else.
    """
    roots = car.roots(cast("BinaryIO", io.BytesIO(source.look(car.MAX_HEADER + 16))))
    limited = _Limited(source, car_bytes(manifest.total_bytes))
    blocks = car.BlocksOf(cast("BinaryIO", limited))
    for root in roots:
        yield from _Root(root, blocks, manifest).contents()


@dataclass(frozen=True, slots=True)
class _Root:
    """One root of a CAR, and what the manifest says it could be."""

    cid: Cid
    blocks: car.BlocksOf
    manifest: Manifest

    def contents(self) -> Iterator[Model | Held]:
        for model, file in self.manifest.files():
            if file.cid is not None and _is(file.cid, self.cid):
                yield model
                yield Held(model.target(file), None, functools.partial(reading.file, self.cid, self.blocks))
                return
        model, root = self._model()
        yield model
        files = {file.path: file for file in model.files}
        folders = {path[:at] for path in files for at, char in enumerate(path) if char == "/"}
        yield from self._below(root, model, files, folders)

    def _model(self) -> tuple[Model, Cid]:
        """Of which model it is the folder: by its CID, else by the names in it."""
        for model in self.manifest.models:
            if model.ipfs is not None and _is(model.ipfs.cid, self.cid):
                return model, reading.resolve(self.cid, model.ipfs.path, self.blocks)
        names = {link.name for link in reading.entries(self.cid, self.blocks)}
        alike = [each for each in self.manifest.models if {_first(file.path) for file in each.files} == names]
        if len(alike) != 1:
            raise BundleError(
                f"the CAR's root {self.cid} is no CID of the manifest {self.manifest.name}, and its names are"
                f" those of {len(alike)} of its models: give the manifest it was made by (--manifest)"
            )
        return alike[0], self.cid

    def _below(
        self, folder: Cid, model: Model, files: Mapping[str, File], folders: Collection[str], path: str = ""
    ) -> Iterator[Held]:
        for link in reading.entries(folder, self.blocks):
            name = f"{path}{link.name}"
            if name in folders:
                yield from self._below(link.cid, model, files, folders, f"{name}/")
            elif name in files:
                pieces = functools.partial(reading.file, link.cid, self.blocks)
                yield Held(model.target(files[name]), None, pieces)
            else:
                raise BundleError(f"the CAR holds {name!r}, which model {model.name} has not")


def _first(path: str) -> str:
    return path.partition("/")[0]


def _is(text: str, cid: Cid) -> bool:
    """Whether they name the same block, however it is spelled."""
    try:
        other = Cid.parse(text)
    except CidError:
        return False
    return (other.codec, other.digest, other.hash) == (cid.codec, cid.digest, cid.hash)


class _Limited:
    """No more of a CAR than the manifest's files can take."""

    def __init__(self, source: Input, left: int) -> None:
        self._source, self._left = source, left

    def read(self, size: int) -> bytes:
        data = self._source.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise BundleError("the CAR is larger than all that the manifest has")
        return data
