"""Publishes models: files proven, sent, the CID that comes back compared with our own, and then recorded.

What is recorded is what came back, and only if it is the CID of these very files: in the profile that
was meant, or in another one that is known. Nothing is recorded before that, so that no failure leaves a
wrong record; the order is manifest, then database, and each is whole or as it was. Exclusions: how a
service is spoken to (`targets`), and how a CAR is made (`package`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from fallback import durable
from fallback import folder as folders
from fallback.engine import load_manifest
from fallback.errors import (
    ConfigError,
    PublishError,
    StorageError,
    UnavailableError,
    storage,
    storage_of_whole,
)
from fallback.events import Published, Uploading, Warned
from fallback.ipfs.cid import Cid
from fallback.ipfs.unixfs import PROFILES, V1_2025
from fallback.manifest import IpfsRef, Manifest
from fallback.merge import add_to_manifest
from fallback.outcome import Delivered, Failed
from fallback.publish import tree
from fallback.publish.package import Package, car_of
from fallback.publish.targets import Kubo, pinata, refusal
from fallback.pursuit import pursue
from fallback.run import running
from fallback.settings import Settings
from fallback.sources import gateway_urls

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from fallback.chance import Try
    from fallback.events import Observer
    from fallback.manifest import Model
    from fallback.outcome import Outcome
    from fallback.publish.targets import Target
    from fallback.pursuit import Course
    from fallback.run import Run
    from fallback.state import State

MAX_ANSWER_BYTES = 1 << 20
TELL_S = 0.1


@dataclass(frozen=True, slots=True)
class Publication:
    """A model under its CID; `urls` are where the configured gateways should have it."""

    model: str
    cid: str
    profile: str
    urls: tuple[str, ...]


def publish_models(
    models: Sequence[str] = (),
    *,
    to: Literal["pinata", "pinata-v3", "kubo"],
    settings: Settings | None = None,
    observer: Observer | None = None,
    stop: threading.Event | None = None,
) -> tuple[Publication, ...]:
    """Have somebody pin models of the manifest in force, and record the CIDs they got.

    Args:
        models: their names; none means all.
        to: who pins them.
        settings: None loads them from the environment and fallback.toml.
        observer: gets `Uploading`, `Waiting`, `Published`.
        stop: set it from anywhere to end this.

    Raises:
        ConfigError: a file is not here or not right; or SettingsError: no key. Nothing was sent.
        UnavailableError: it could not be sent; with each reason.
        PublishError: the CID that came back is of something else. Nothing was recorded of that model.
        StorageError: a file cannot be read, or a record not be written.
        StoppedError: `stop` was set.
    """
    settings = settings or Settings.load()
    if settings.offline:
        raise ConfigError("offline is set: nothing can be published")
    target: Target = Kubo(settings.kubo_api) if to == "kubo" else pinata(settings, v3=to == "pinata-v3")
    chosen = _chosen(models, settings)
    types = {model.name: model.type for model in chosen.models}
    with running(settings, (), observer, stop, types=types) as (run, state):
        return tuple(_published(model, target, run, state) for model in chosen.models)


def write_car(
    models: Sequence[str], output: Path, *, settings: Settings | None = None, observer: Observer | None = None
) -> tuple[Publication, ...]:
    """Write models of the manifest in force into one CAR, which any pinning service can import.

    Nothing is sent, and nothing recorded: no gateway has it yet.

    Raises:
        ConfigError: a file is not here or not right.
        StorageError: a file cannot be read, or `output` not be written; then there is none.
    """
    settings = settings or Settings.load()
    chosen = _chosen(models, settings)
    with storage(output):
        if output.exists() and not output.is_file():  # a device would be replaced by a file of its name
            raise StorageError(output, "is there, and is no file that could be replaced")
    packages = [
        Package.of(model, _files(_proven(model, settings), settings), V1_2025) for model in chosen.models
    ]
    with storage_of_whole(output), durable.replacing(output) as stream:
        for piece in car_of(packages):
            stream.write(piece)
    made = tuple(_publication(package.model, package.root, V1_2025.name, settings) for package in packages)
    for each in made:
        if observer is not None:
            observer(Published(each.model, "", str(output), each.cid, each.profile, each.urls))
    return made


def _chosen(models: Sequence[str], settings: Settings) -> Manifest:
    manifest = load_manifest(settings)
    return manifest.select(models) if models else manifest


def _proven(model: Model, settings: Settings, over: Callable[[], bool] = lambda: False) -> Model:
    """The model with the CIDs and chunks of its files, every byte of which was read and is right.

    Raises:
        ConfigError: not all of them are.
        StoppedError: `over` said so.
    """
    wrong = []
    files = []
    for file in model.files:
        path = settings.models_dir / model.target(file)
        if not path.is_file():
            wrong.append(f"{model.target(file)}: is not here")
            continue
        found = folders.proven(path, replace(file, cid=None, chunks=()), over)
        if (found.size, found.sha256) != (file.size, file.sha256):
            wrong.append(f"{model.target(file)}: is not the file of the manifest")
        files.append(found)
    if wrong:
        lines = "".join(f"\n  {each}" for each in wrong)
        raise ConfigError(f"{model.name} cannot be published:{lines}\nrun `fallback sync {model.name}` first")
    return replace(model, files=tuple(files))


def _files(model: Model, settings: Settings) -> Mapping[str, Path]:
    return {file.path: settings.models_dir / model.target(file) for file in model.files}


def _published(model: Model, target: Target, run: Run, state: State) -> Publication:
    proven = _proven(model, run.settings, run.stop.is_set)
    package = Package.of(proven, _files(proven, run.settings), target.profile)
    cid = _pinned(package, target, run)
    profile = _profile_of(cid, package, target, run)
    made = _publication(proven, cid, profile, run.settings)
    _record(proven, made, run, state)
    run.emit(Published(model.name, "", target.name, made.cid, made.profile, made.urls))
    return made


def _pinned(package: Package, target: Target, run: Run) -> Cid:
    """The CID that `target` tells for the package."""
    upload, found = target.upload(package), list[Cid]()
    began = told = time.monotonic()

    def sent(count: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= TELL_S or count == upload.size:
            told = now
            rate = count / max(now - began, 1e-6)
            run.emit(Uploading(package.model.name, "", target.name, count, upload.size, rate))

    def asked() -> Cid:
        settings = run.settings
        with run.transport().send(
            upload,
            sent,
            min_rate_bytes_s=settings.last_source_min_rate_bytes_s,
            answer_s=settings.publish_answer_s,
            ends_in_s=run.left_s(),
        ) as answer:
            body = b"".join(answer.pieces(MAX_ANSWER_BYTES))
            if answer.head.status != 200:
                raise Failed(refusal(target, answer.head, body, run.clock.now()))
            return target.cid(body, package)

    def attempt(source: Target, step: Try, course: Course[Target]) -> tuple[Try, Outcome]:  # noqa: ARG001 - there is one, and one way to ask
        started = run.clock.now()
        outcome: Outcome = Delivered("pinned")
        try:
            found.append(asked())
        except Failed as failed:
            run.check()
            outcome = failed.outcome
        run.note(source, outcome, started, None)
        return step, outcome

    name = package.model.name
    try:
        pursue(run, [target], attempt, whom=(name, ""), what=name)
    except UnavailableError as error:
        raise UnavailableError(name, error.reasons, "could not be published") from None
    return found[0]


def _profile_of(cid: Cid, package: Package, target: Target, run: Run) -> str:
    """By which profile `cid` is of these files.

    Raises:
        PublishError: by none.
    """
    if cid == package.root:
        return package.profile.name
    for profile in PROFILES.values():
        if profile is not package.profile and tree.of_files(package.files, profile).root.cid == cid:
            what = f"{target.name} computes CIDs by {profile.name}, not by {package.profile.name}"
            run.emit(Warned(f"{package.model.name}: {what}; that is recorded"))
            return profile.name
    raise PublishError(
        f"{target.name} says {cid} for {package.model.name}, which is {package.root}: it has something else,"
        " or not all of it. Nothing was recorded; publish again, or ask there what became of it"
    )


def _publication(model: Model, cid: Cid, profile: str, settings: Settings) -> Publication:
    return Publication(model.name, str(cid), profile, gateway_urls(settings, str(cid)))


def _record(model: Model, made: Publication, run: Run, state: State) -> None:
    now = datetime.fromtimestamp(run.clock.now(), UTC)
    published_at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    ipfs = IpfsRef(made.cid, "", made.profile, model.ipfs.extra if model.ipfs else {})
    noted = replace(model, ipfs=ipfs, published_at=published_at)
    add_to_manifest(Manifest((noted,), name="published"), settings=run.settings)
    gateway = made.urls[0] if made.urls else None
    state.cids.add(made.cid, model.name, model.type, now=run.clock.now(), gateway_url=gateway)
