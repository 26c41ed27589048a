"""What a run may be at when it is killed: how the folder is before it, the command, and what must hold after it.

`old` of a scenario is what may stand under a name beside the right file: what did before the run.
Exclusions: who kills, and when (`kills`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from fakes.faults import CutEvery
from fallback import Settings, create_bundle, sync
from fallback.names import BAK
from fallback.publish.publishing import write_car
from fallback.state import State
from tests.crash import folder
from tests.crash.stage import LARGE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.crash.stage import Stage

AT_ONCE = {"FALLBACK_PARTIAL_IDLE_S": "0"}
"""A ledger may outlive its partial by an hour; for a run with this, nothing may be left at all."""


@dataclass
class Scenario:
    """A sync into an empty folder; the others are made of it."""

    stage: Stage
    args: tuple[str, ...] = ("sync", "--json")
    old: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    resumes = False
    """Whether every partial must be a beginning of its file, and what is on disk is never asked for again."""

    def prepare(self) -> None:
        """The folder and the world as they are before the run."""
        self.stage.clear()

    def after_a_kill(self) -> Iterator[str]:
        """What is wrong, now that it was killed."""
        yield from folder.after_a_kill(self.stage, self.old)
        for name, data in self.stage.contents.items() if self.resumes else ():
            if any(not data.startswith(partial) for partial in folder.partials(self.stage, name)):
                yield f"{name}: a partial holds what nobody sent"

    def after_the_next(self) -> Iterator[str]:
        """What is wrong, now that a run has ended by itself."""
        yield from folder.after_the_next(self.stage, self.old)
        warm = sync(self.stage.manifest, settings=self.stage.settings)
        if not (warm.ok and all(file.layer == "cache" for file in warm.files)):
            yield "a warm start finds something to do (P9)"


class Fresh(Scenario):
    resumes = True


class Cut(Scenario):
    """No answer gives more than 400 kB."""

    resumes = True

    def prepare(self) -> None:
        super().prepare()
        self.stage.world.add("gateway*", CutEvery(bytes=400_000))


class Warm(Scenario):
    """Everything is here: what is left to do is the main thread's."""

    def prepare(self) -> None:
        super().prepare()
        assert sync(self.stage.manifest, settings=self.stage.settings).ok


class Repair(Warm):
    """A byte rotted: the file is set aside, copied, and its one wrong chunk fetched."""

    def prepare(self) -> None:
        super().prepare()
        data = self.stage.contents[LARGE]
        rotten = data[:1_200_000] + bytes([data[1_200_000] ^ 1]) + data[1_200_001:]
        self.stage.put(LARGE, rotten)
        self.args, self.old = ("verify", "--repair", "--json"), {LARGE: (rotten,)}


class Update(Scenario):
    """Other versions stand under the names."""

    def prepare(self) -> None:
        super().prepare()
        self.old = {LARGE: (b"an older model",), "tts/voice.bin": (bytes(70_000),)}
        for name, (data,) in self.old.items():
            self.stage.put(name, data)


class Get(Scenario):
    """`fallback get` of one file."""

    def prepare(self) -> None:
        super().prepare()
        world = self.stage.world
        [(path, file)] = world.manifest()["voice"]["files"].items()
        url = f"{world.gateways[0]}/ipfs/{world.manifest()['voice']['ipfs']['cid']}/{path}"
        to = self.stage.models_dir / "voice.bin"
        to.parent.mkdir()
        self.args = ("get", url, "--sha256", file["sha256"], "-o", str(to), "--json")

    def after_a_kill(self) -> Iterator[str]:
        got = self.stage.models_dir / "voice.bin"
        if got.exists() and got.read_bytes() != self.stage.contents["tts/voice.bin"]:
            yield "wrong bytes under a final name (P1)"
        yield from folder.believed(self.stage)

    def after_the_next(self) -> Iterator[str]:
        yield from self.after_a_kill()
        left = [path.name for path in folder.files(self.stage.models_dir)]
        if left != ["voice.bin"]:
            yield f"not there, or left over: {left}"


class Add(Scenario):
    """`manifest from-dir --add` to a manifest that has another model."""

    def prepare(self) -> None:
        super().prepare()
        made = self.stage.folder / "made"
        made.mkdir()
        (made / "weights.bin").write_bytes(b"weights")
        self.stage.models_dir.mkdir()
        self._path.write_text(json.dumps({"voice": self.stage.world.manifest()["voice"]}))
        self.args = ("manifest", "from-dir", str(made), "--add")

    @property
    def _path(self) -> Any:
        return self.stage.models_dir / ".manifests.json"

    def after_a_kill(self) -> Iterator[str]:
        try:
            models = json.loads(self._path.read_bytes())
        except (OSError, ValueError) as error:
            yield f"the manifest is lost: {error}"
            return
        if set(models) not in ({"voice"}, {"voice", "made"}):
            yield f"the manifest holds {sorted(models)}"

    def after_the_next(self) -> Iterator[str]:
        yield from self.after_a_kill()
        if "made" not in json.loads(self._path.read_bytes()):
            yield "the model was not added"
        left = [path.name for path in folder.files(self.stage.models_dir) if path != self._path]
        if left:
            yield f"left over: {left}"


class Publish(Warm):
    """A model goes to a node, and its CID into manifest and database."""

    def prepare(self) -> None:
        super().prepare()
        self.args = ("publish", "voice", "--to", "kubo")

    def after_a_kill(self) -> Iterator[str]:
        yield from folder.after_a_kill(self.stage, self.old)

    def after_the_next(self) -> Iterator[str]:
        yield from super().after_the_next()
        cid = self.stage.world.manifest()["voice"]["ipfs"]["cid"]
        models = json.loads((self.stage.models_dir / ".manifests.json").read_bytes())
        warned: list[str] = []
        with State(self.stage.settings.state_path, warned.append) as state:
            known = state.cids.newest("voice", "voice")
        if (models["voice"].get("ipfsHash"), known, warned) != (cid, cid, []):
            yield f"not recorded: {models['voice'].get('ipfsHash')} and {known} instead of {cid}; {warned}"


class Car(Warm):
    """All models into a CAR."""

    def prepare(self) -> None:
        super().prepare()
        out = self.stage.folder / "cars"
        out.mkdir()
        write_car(("tiny",), self.stage.folder / "right.car", settings=self._given)
        self.args = ("publish", "tiny", "--to", "car", "-o", str(out / "m.car"))

    @property
    def _given(self) -> Any:
        (self.stage.models_dir / ".manifests.json").write_text(json.dumps(self.stage.world.manifest()))
        return self.stage.settings

    def after_a_kill(self) -> Iterator[str]:
        yield from super().after_a_kill()
        made = self.stage.folder / "cars" / "m.car"
        if made.exists() and made.read_bytes() != (self.stage.folder / "right.car").read_bytes():
            yield "the CAR is torn"

    def after_the_next(self) -> Iterator[str]:
        yield from super().after_the_next()
        left = [path.name for path in (self.stage.folder / "cars").iterdir()]
        if left != ["m.car"]:
            yield f"not there, or left over: {left}"


class Upgrade(Warm):
    """A newer version of a model is fetched beside the old one, and put in force."""

    def prepare(self) -> None:
        super().prepare()
        self._path.write_text(json.dumps(self.stage.world.manifest()))
        self.new = self.stage.world.push(
            "org/tiny", {"config.json": 900, "onnx/model.onnx": 50_000, "more.txt": 70}
        )
        self.args = ("upgrade", "tiny", "--yes", "--manifest", str(self._path))

    @property
    def _path(self) -> Any:
        return self.stage.models_dir / ".manifests.json"

    def after_a_kill(self) -> Iterator[str]:
        """A final name is absent, or what the manifest in force says: no file of one version with another's name."""
        files = json.loads(self._path.read_bytes())["tiny"]["files"]
        for path, file in files.items():
            target = self.stage.models_dir / "org/tiny" / path
            if target.exists() and hashlib.sha256(target.read_bytes()).hexdigest() != file["sha256"]:
                yield f"{path}: not the version that is in force (P1)"
        old, new = len(self.stage.world.manifest()["tiny"]["files"]), len(self.new.files)
        if len(files) not in {old, new}:
            yield f"half a version is in force: {sorted(files)}"
        yield from folder.believed(self.stage)

    def after_the_next(self) -> Iterator[str]:
        yield from self.after_a_kill()
        there = self.stage.models_dir / "org/tiny"
        for path, file in self.new.files.items():
            if not (there / path).exists() or (there / path).read_bytes() != bytes(file.blob.view()):
                yield f"{path}: not there and right after the next run"
        # What was set aside stays for a week, if the process that would have deleted it was killed.
        names = {path.relative_to(there).as_posix(): path for path in folder.files(there)}
        left = [path for name, path in names.items() if name not in self.new.files and path.suffix != BAK]
        left += [path for path in (self.stage.models_dir / ".fallback").rglob("*") if "upgrade/" in str(path)]
        if left:
            yield f"left over: {sorted(path.name for path in left)}"
        known = json.loads(self._path.read_bytes())["tiny"]["huggingface"]["revision"]
        if known != self.new.commit:
            yield f"{known} is in force, and not {self.new.commit}"


class Bundle(Warm):
    """All models into one file."""

    def prepare(self) -> None:
        super().prepare()
        (self.stage.folder / "out").mkdir()
        create_bundle([], self.stage.folder / "right.tar", settings=self._given)
        self.args = ("bundle", "create", "-o", str(self.stage.folder / "out" / "all.tar"), "--json")

    @property
    def _given(self) -> Any:
        return replace(self.stage.settings, manifest=self.stage.folder / "manifest.json")

    def after_a_kill(self) -> Iterator[str]:
        yield from super().after_a_kill()
        made = self.stage.folder / "out" / "all.tar"
        if made.exists() and made.read_bytes() != (self.stage.folder / "right.tar").read_bytes():
            yield "the bundle is torn"

    def after_the_next(self) -> Iterator[str]:
        yield from super().after_the_next()
        left = [path.name for path in (self.stage.folder / "out").iterdir()]
        if left != ["all.tar"]:
            yield f"not there, or left over: {left}"


class Install(Scenario):
    """A bundle of all models into a folder that has an older version of one of them, and no other."""

    def prepare(self) -> None:
        super().prepare()
        full, models = self.stage.folder / "full", self.stage.world.manifest()
        for name, data in self.stage.contents.items():
            (full / name).parent.mkdir(parents=True, exist_ok=True)
            (full / name).write_bytes(data)
        (full / ".manifests.json").write_text(json.dumps(models))
        create_bundle([], self.stage.folder / "all.tar", settings=Settings(models_dir=full))
        older = {"onnx/model.onnx": b"an older model", "gone.txt": b"gone"}
        for path, data in older.items():
            self.stage.put(f"org/tiny/{path}", data)
        files = {
            path: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            for path, data in older.items()
        }
        self._path.write_text(json.dumps({"tiny": models["tiny"] | {"files": files}}))
        self.args = (
            *("bundle", "install", str(self.stage.folder / "all.tar")),
            *("--replace", "--manifest", "none", "--json"),
        )

    @property
    def _path(self) -> Any:
        return self.stage.models_dir / ".manifests.json"

    def after_a_kill(self) -> Iterator[str]:
        """Whatever has a final name is what the manifest in force says of it (P1)."""
        models = json.loads(self._path.read_bytes())
        promised = {
            f"{model['dir']}/{path}": file["sha256"]
            for model in models.values()
            for path, file in model["files"].items()
        }
        for path in folder.files(self.stage.models_dir):
            name = path.relative_to(self.stage.models_dir).as_posix()
            ours = path.suffix in {BAK, ".partial", ".ledger", ".tmp"} or name.startswith(".")
            if not ours and hashlib.sha256(path.read_bytes()).hexdigest() != promised.get(name):
                yield f"{name}: not what the manifest in force promises (P1)"
        yield from folder.believed(self.stage)

    def after_the_next(self) -> Iterator[str]:
        yield from self.after_a_kill()
        for name, data in self.stage.contents.items():
            target = self.stage.models_dir / name
            if not target.exists() or target.read_bytes() != data:
                yield f"{name}: not there and right after the next run"
        left = [path for path in (self.stage.models_dir / ".fallback").rglob("*") if "upgrade/" in str(path)]
        if left:
            yield f"left over: {sorted(path.name for path in left)}"
        if set(json.loads(self._path.read_bytes())) != {"tiny", "voice"}:
            yield "a model is not in the manifest"


SCENARIOS: dict[str, type[Scenario]] = {
    each.__name__.lower(): each
    for each in (Fresh, Cut, Warm, Repair, Update, Get, Add, Publish, Car, Upgrade, Bundle, Install)
}
