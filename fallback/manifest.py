"""What to have: JSON -> Manifest > Model > File, all problems of a document at once, each at its key.

Reads this project's shape and the original's `{model: {"files": {path: {"size", "sha256"}}}}` alike,
and keeps keys that it does not know. Pure but for `Manifest.load`, which reads one file.

It does not write `.manifests.json`, ask any source what it has, look at the models folder, or check
that a CID or a repository exists. Which names are safe is decided in `names`.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fallback import names
from fallback.errors import ManifestError, Problem, UnknownModelError
from fallback.reading import Reader, key, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

CHUNK_BYTES = 1024 * 1024  # a leaf of the unixfs-v1-2025 profile, so that chunks and CID are one computation
MAX_SIZE_BYTES = 2**63 - 1  # SQLite's and every file system's
MAX_MANIFEST_BYTES = 64 * 1024 * 1024  # a model file given for a manifest by mistake is not read into memory
CID = re.compile(r"[A-Za-z0-9]{8,128}", re.ASCII)  # base32 or base58; what it means is `ipfs.cid`'s to say
REPO = re.compile(r"(?!.*\.\.)\w[\w.-]*(/\w[\w.-]*)?", re.ASCII)
REVISION = re.compile(r"(?!.*\.\.)[\x21-\x7e]+", re.ASCII)


def _extra() -> Any:
    """Unknown keys, kept; out of the hash because JSON's values have none."""
    return field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class File:
    """One file: where it goes below its model's folder, and what proves it.

    `size` is in bytes; None only for a file made in code whose size nobody told. `sha256` is lower-case
    hex; None only where `unsafe_allow_missing_sha256` let it pass. `chunks` are the SHA-256 of each MiB,
    in hex, or empty if not known.
    """

    path: str
    size: int | None
    sha256: str | None
    cid: str | None = None
    chunks: tuple[str, ...] = ()
    extra: Mapping[str, Any] = _extra()


@dataclass(frozen=True, slots=True)
class HubRef:
    """A folder (`path`, "" is the root) of a repository on HuggingFace, pinned from `branch` (None: main)."""

    repo: str
    repo_type: Literal["model", "dataset"] = "model"
    revision: str = "main"
    path: str = ""
    branch: str | None = None
    extra: Mapping[str, Any] = _extra()


@dataclass(frozen=True, slots=True)
class IpfsRef:
    """A folder (`path`, "" for the root) below a CID; `profile` says how the CID was computed."""

    cid: str
    path: str = ""
    profile: str | None = None
    extra: Mapping[str, Any] = _extra()


@dataclass(frozen=True, slots=True)
class Model:
    """Files that belong together, the folder below the models folder that holds them, and who serves them."""

    name: str
    type: str
    dir: str
    files: tuple[File, ...]
    huggingface: HubRef | None = None
    ipfs: IpfsRef | None = None
    published_at: str | None = None
    extra: Mapping[str, Any] = _extra()

    def target(self, file: File) -> str:
        """Where `file` goes, relative to the models folder, "/" separated."""
        return f"{self.dir}/{file.path}" if self.dir else file.path


@dataclass(frozen=True, slots=True)
class Manifest:
    """The models to have; `name` says where the list came from and takes no part in equality.

    However it was made, its targets are safe names and no two of them are one file: it raises
    `ManifestError` otherwise. A `dir` of "" (the models folder itself) can be given in code only.
    """

    models: tuple[Model, ...]
    name: str = field(default="made in code", compare=False)

    def __post_init__(self) -> None:
        if problems := tuple(_name_problems(self.models)):
            raise ManifestError(self.name, problems)

    @classmethod
    def parse(cls, text: str | bytes, *, name: str, allow_missing_sha256: bool = False) -> Manifest:
        """Read a JSON document; of a model named as a built-in one, what it lacks comes from there.

        Raises ManifestError with every problem of the document.
        """
        known = {model.name: model for model in cls.builtin().models}
        return _parse(text, name, known, may_miss=allow_missing_sha256)

    @classmethod
    def load(cls, path: Path | str, *, allow_missing_sha256: bool = False) -> Manifest:
        """`parse` the file at `path`; ManifestError also if it is missing, unreadable or over 64 MiB."""
        try:
            with Path(path).open("rb") as stream:
                text = stream.read(MAX_MANIFEST_BYTES + 1)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            reason = getattr(error, "strerror", None) or error
            raise ManifestError(str(path), [Problem("file", f"cannot be read: {reason}")]) from error
        if len(text) > MAX_MANIFEST_BYTES:
            raise ManifestError(str(path), [Problem("file", "is larger than 64 MiB: this is no manifest")])
        return cls.parse(text, name=str(path), allow_missing_sha256=allow_missing_sha256)

    @classmethod
    @functools.cache
    def builtin(cls) -> Manifest:
        """The package's own models.json: 13 files in 2 models."""
        return _parse(Path(__file__).with_name("models.json").read_bytes(), "built in", {}, may_miss=False)

    def model(self, name: str) -> Model:
        """The model of this name; UnknownModelError if there is none."""
        return self.select([name]).models[0]

    def select(self, wanted: Iterable[str]) -> Manifest:
        """Only the models named in `wanted`, in this manifest's order; UnknownModelError names all others."""
        chosen = dict.fromkeys(wanted)
        known = [model.name for model in self.models]
        if unknown := [shown(name) for name in chosen if name not in known]:
            listed = ", ".join(map(shown, known)) or "none"
            raise UnknownModelError(f"manifest {self.name} has no model {', '.join(unknown)}, only {listed}")
        return Manifest(tuple(model for model in self.models if model.name in chosen), name=self.name)

    def files(self) -> Iterator[tuple[Model, File]]:
        """Every file with its model, in the document's order."""
        return ((model, file) for model in self.models for file in model.files)

    @property
    def total_bytes(self) -> int:
        """The sum of all sizes that are known."""
        return sum(file.size or 0 for _, file in self.files())

    def to_json(self) -> str:
        """This manifest as a document, in ASCII: what was parsed, with defaults spelled out.

        `parse` gives an equal manifest back. `ipfsHash` repeats `ipfs.cid` for the original's tools.
        """
        return json.dumps({model.name: _model_json(model) for model in self.models}, indent=2) + "\n"


def _parse(text: str | bytes, name: str, known: Mapping[str, Model], *, may_miss: bool) -> Manifest:
    reader = Reader()
    models = [
        _model(reader, model, value, known.get(model), may_miss=may_miss)
        for model, value in reader.document(text).items()
    ]
    try:
        manifest = Manifest(tuple(models), name=name)
    except ManifestError as error:
        seen = {problem.where for problem in reader.problems}
        reader.problems += (problem for problem in error.problems if problem.where not in seen)
    if reader.problems:
        raise ManifestError(name, reader.problems)
    return manifest


def _model(reader: Reader, name: str, value: Any, known: Model | None, *, may_miss: bool) -> Model:
    where = key("", name)
    given = reader.mapping(where, value)
    if "files" not in given:
        reader.problem(key(where, "files"), "is missing")
    files = reader.mapping(key(where, "files"), given.get("files", {}))
    return Model(
        name=name,
        type=reader.text(where, given, "type", _label, known.type if known else name),
        dir=reader.text(where, given, "dir", names.problem, known.dir if known else name),
        files=tuple(_file(reader, where, path, each, may_miss=may_miss) for path, each in files.items()),
        huggingface=known.huggingface if known and "huggingface" not in given else _hub(reader, where, given),
        ipfs=_ipfs(reader, where, given),
        published_at=reader.text(where, given, "publishedAt", _label, None),
        extra=_rest(given, "type", "dir", "files", "huggingface", "ipfs", "ipfsHash", "publishedAt"),
    )


def _file(reader: Reader, where: str, path: str, value: Any, *, may_miss: bool) -> File:
    where = f"{key(where, 'files')}[{shown(path)}]"
    given = reader.mapping(where, value)
    size = reader.size(where, given, MAX_SIZE_BYTES)
    return File(
        path=path,
        size=size,
        sha256=reader.sha256(where, given, may_miss=may_miss),
        cid=reader.text(where, given, "cid", _like(CID, "is not a CID"), None),
        chunks=reader.chunks(where, given, None if size is None else -(-size // CHUNK_BYTES)),
        extra=_rest(given, "size", "sha256", "cid", "chunks"),
    )


def _hub(reader: Reader, where: str, given: Mapping[str, Any]) -> HubRef | None:
    if given.get("huggingface") is None:
        return None
    ref = reader.mapping(where := key(where, "huggingface"), given["huggingface"])
    kind = _like(re.compile("model|dataset"), "is neither 'model' nor 'dataset'")
    revision = _like(REVISION, "is not a revision")
    return HubRef(
        repo=reader.text(where, ref, "repo", _like(REPO, "is not the name of a repository")) or "",
        repo_type=reader.text(where, ref, "repo_type", kind, "model"),
        revision=reader.text(where, ref, "revision", revision, "main"),
        path=reader.text(where, ref, "path", _folder, ""),
        branch=reader.text(where, ref, "branch", revision, None),
        extra=_rest(ref, "repo", "repo_type", "revision", "path", "branch"),
    )


def _ipfs(reader: Reader, where: str, given: Mapping[str, Any]) -> IpfsRef | None:
    check = _like(CID, "is not a CID")
    if given.get("ipfs") is None:
        cid = reader.text(where, given, "ipfsHash", check, None)
        return IpfsRef(cid) if cid else None
    ref = reader.mapping(where := key(where, "ipfs"), given["ipfs"])
    return IpfsRef(
        cid=reader.text(where, ref, "cid", check) or "",
        path=reader.text(where, ref, "path", _folder, ""),
        profile=reader.text(where, ref, "profile", _label, None),
        extra=_rest(ref, "cid", "path", "profile"),
    )


def _name_problems(models: Iterable[Model]) -> Iterator[Problem]:
    """What is wrong with where files would go, over all models (`names`)."""
    targets = []
    seen: set[str] = set()
    for model in models:
        spot = key("", model.name)
        if what := _label(model.name) or ("is the name of two models" if model.name in seen else None):
            yield Problem(spot, what)
        seen.add(model.name)
        if model.dir and (what := names.problem(model.dir)):
            yield Problem(key(spot, "dir"), f"{shown(model.dir)} {what}")
        for file in model.files:
            where, target = f"{key(spot, 'files')}[{shown(file.path)}]", model.target(file)
            if what := names.problem(file.path) or names.target_problem(target):
                yield Problem(where, what)
            else:
                targets.append((where, target))
    yield from (Problem(where, what) for where, what in names.clashes(targets))


def _label(text: str) -> str | None:
    return names.unseen(text) if text else "is empty"


def _folder(path: str) -> str | None:
    return names.problem(path) if path else None


def _like(pattern: re.Pattern[str], what: str) -> Callable[[str], str | None]:
    return lambda text: None if pattern.fullmatch(text) else what


def _rest(given: Mapping[str, Any], *known: str) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in known}


def _json(record: File | HubRef | IpfsRef, *without: str) -> dict[str, Any]:
    """What a record has a value for, and then the keys it kept unread."""
    known = [each.name for each in fields(record) if each.name not in {"extra", *without}]
    given = ((name, getattr(record, name)) for name in known)
    return {name: value for name, value in given if value not in (None, ())} | dict(record.extra)


def _model_json(model: Model) -> dict[str, Any]:
    return {
        "type": model.type,
        "dir": model.dir,
        # null says "none", where a missing key would mean the built-in manifest's
        "huggingface": model.huggingface and _json(model.huggingface),
        **({"ipfs": _json(model.ipfs), "ipfsHash": model.ipfs.cid} if model.ipfs else {}),
        **({"publishedAt": model.published_at} if model.published_at else {}),
        **model.extra,
        "files": {file.path: _json(file, "path") for file in model.files},
    }
