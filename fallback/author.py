"""Makes manifests: of a folder on this machine, or of a repository on HuggingFace.

What a name, a folder or a repository may be is `manifest`'s to say: each model made here has been
through its reader, without files before anything is read or requested, and with them at the end.
Exclusions: no file is written (`merge`) and none is downloaded to stay.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fallback import folder as folders
from fallback.errors import ConfigError, ManifestError
from fallback.events import Listed, Warned
from fallback.hub_api import HubApi
from fallback.manifest import File, HubRef, Manifest
from fallback.run import Stop, running
from fallback.settings import Settings
from fallback.sources import HuggingFace
from fallback.wanted import Wanted
from fallback.workers import by_threads

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Sequence

    from fallback.events import Event, Observer
    from fallback.hub_answers import Entry
    from fallback.manifest import Model
    from fallback.run import Run


def manifest_from_dir(
    folder: Path | str,
    *,
    name: str | None = None,
    model_type: str | None = None,
    model_dir: str | None = None,
    include: Sequence[str] = (),
    settings: Settings | None = None,
    observer: Observer | None = None,
    stop: threading.Event | None = None,
) -> Manifest:
    """A manifest of the files below `folder`, every one with its SHA-256, its CID and its chunks.

    Args:
        folder: hidden names in it, and those of our own, are left out.
        name: the model's; default: the folder's.
        model_type: default: the built-in model's of that name, else the name.
        model_dir: where the files belong below the models folder; default: where they are, if they
            are there, else as for the type.
        include: globs of paths below `folder`, of which one must match; `*` matches `/` too.
        settings: None loads them from the environment and fallback.toml.
        observer: gets a `Listed` for each file, from this thread.
        stop: set it from anywhere to end this.

    Raises:
        ConfigError: no file matches; or ManifestError: a name is unsafe, or a symbolic link leads
            out of the folder. All of them are named.
        StorageError: a file cannot be read, or changes while it is.
        StoppedError: `stop` was set.
    """
    settings, root, ending = settings or Settings.load(), Path(folder).resolve(), Stop(stop)
    tell = observer or _ignore
    if not root.is_dir():
        raise ConfigError(f"{folder} is not a folder")
    place = model_dir if model_dir is not None else folders.below(settings.models_dir, root)
    model = _without_files(f"of {folder}", name if name is not None else root.name, model_type, place, None)
    listing = folders.listed(root, folders.included(include))
    if listing.left_out:
        shown = ", ".join(listing.left_out[:3]) + (", …" if len(listing.left_out) > 3 else "")
        tell(Warned(f"{len(listing.left_out)} left out, for a hidden name or one of our own: {shown}"))
    bare = [File(path, None, None) for path in listing.files]
    _check(model, bare, f"of {folder}", listing, include)

    def proven(file: File) -> File:
        return folders.proven(root / file.path, file, ending.is_set)

    return _listed(model, by_threads(proven, bare, settings.jobs, ending), f"of {folder}", tell)


def manifest_from_hub(
    repo: str,
    *,
    repo_type: Literal["model", "dataset"] = "model",
    revision: str = "main",
    path: str = "",
    name: str | None = None,
    model_type: str | None = None,
    model_dir: str | None = None,
    include: Sequence[str] = (),
    chunks: bool = False,
    settings: Settings | None = None,
    observer: Observer | None = None,
    stop: threading.Event | None = None,
) -> Manifest:
    """A manifest of the files of a repository on HuggingFace, pinned to the commit they are at now.

    Sizes and SHA-256 of files in LFS are as the Hub lists them; of other files the bytes are fetched,
    proven by git's id, and hashed.

    Args:
        repo: such as `onnx-community/whisper-base`.
        repo_type: what it is.
        revision: a branch, tag or commit.
        path: a folder in it; "" for all of it.
        name: the model's; default: the last part of the repository's.
        model_type: default: the built-in model's of that name, else the name.
        model_dir: where the files belong below the models folder; default: the repository and path.
        include: globs of paths below `path`, of which one must match; `*` matches `/` too.
        chunks: fetch every file, to list its CID and chunks, too: the Hub knows neither.
        settings: None loads them from the environment and fallback.toml.
        observer: gets a `Listed` for each file, and a `Waiting` for each pause.
        stop: set it from anywhere to end this.

    Raises:
        ConfigError: no file matches; or ManifestError: the repository's name, or that of a file in
            it, is none that we take. All of them are named.
        UnavailableError: the Hub does not serve it; with its reason.
        StoppedError: `stop` was set.
    """
    settings = settings or Settings.load()
    ref = HubRef(repo, repo_type, revision, path.strip("/"))
    place = model_dir if model_dir is not None else "/".join(part for part in (repo, ref.path) if part)
    label = name if name is not None else repo.rpartition("/")[2]
    model = _without_files(f"of {repo}", label, model_type, place, ref)
    hub = HuggingFace(settings.hf_endpoint, settings.hf_token)
    with running(settings, (hub,), observer, stop, types={}) as (run, _state):
        api, included = HubApi(run, hub), folders.included(include)
        commit = api.commit(ref)
        branch = None if revision in {"main", commit} else revision
        model = replace(model, huggingface=replace(ref, revision=commit, branch=branch))
        assert model.huggingface is not None
        entries = [each for each in api.tree(model.huggingface) if included(each.path)]
        bare = [File(each.path, each.size, each.sha256) for each in entries]
        _check(model, bare, f"of {repo}", None, include)
        return _listed(model, files_on_hub(model, entries, api, run, chunks=chunks), f"of {repo}", run.emit)


def files_on_hub(
    model: Model, entries: Sequence[Entry], api: HubApi, run: Run, *, chunks: bool = False
) -> Generator[File]:
    """The files that `entries` of the list of the model's repository speak of, in order, each with its SHA-256.

    `chunks`: with CID and chunks, too. Raises UnavailableError if HuggingFace does not serve one.
    """

    def proven(entry: Entry) -> File:
        file = File(entry.path, entry.size, entry.sha256)
        if file.sha256 is not None and not chunks:
            return file
        found = api.proven(Wanted(model, file), entry.git_id)
        # A CID says that gateways may be asked for it: not of a file that nobody has published.
        return found if chunks else replace(file, sha256=found.sha256)

    return by_threads(proven, entries, run.settings.jobs, run.stop)


def _without_files(
    whose: str, name: str, model_type: str | None, model_dir: str | None, ref: HubRef | None
) -> Model:
    """The model before anything is known of its files; ManifestError has all that is wrong with it."""
    hub = ref and {"repo": ref.repo, "repo_type": ref.repo_type, "revision": ref.revision, "path": ref.path}
    given = {"type": model_type, "dir": model_dir, "huggingface": hub, "files": {}}
    return Manifest.parse(json.dumps({name: given}), name=whose).models[0]


def _check(
    model: Model, files: Sequence[File], whose: str, listing: folders.Listing | None, include: Sequence[str]
) -> None:
    """Refuse names that are unsafe, all at once and before a byte is read; and a manifest of nothing."""
    problems = list(listing.problems if listing else ())
    try:
        Manifest((replace(model, files=tuple(files)),), name=whose)
    except ManifestError as error:
        problems += error.problems
    if problems:
        raise ManifestError(whose, problems)
    if not files:
        asked = f" that matches {' or '.join(map(repr, include))}" if include else ""
        raise ConfigError(f"manifest {whose}: there is no file{asked}")


def _listed(model: Model, files: Generator[File], whose: str, tell: Callable[[Event], None]) -> Manifest:
    """The manifest of these files, each told of when it is known."""
    known = []
    with contextlib.closing(files):  # its threads end also when it is `tell` that fails
        for file in files:
            tell(Listed(model.name, file.path, file.size or 0))
            known.append(file)
    made = Manifest((replace(model, files=tuple(known)),), name=whose)
    return Manifest.parse(made.to_json(), name=whose)


def _ignore(event: Event) -> None:
    del event
