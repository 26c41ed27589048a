"""What happens in a soak: random acts of one long-lived process and its children on one folder, replayable by their seed.

The order of the acts and all they are told come from the seed; how they meet in time does not. What an act does may fail as
the engine's errors say; a wrong file, a hang or any other exception ends the soak.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import threading
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from fallback import Manifest, Settings, checking, report, sync
from fallback.errors import FallbackError
from fallback.publish import publishing
from tests.concurrency.processes import Process, Watched
from tests.soak.gauges import Gauges

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.soak.place import Place

MOST_S = 180.0
"""No act takes longer: a run has a deadline of `DEADLINE_S`, and the machine may be busy."""

DEADLINE_S = 8.0
BETWEEN_LOOKS = 15
"""Acts between two looks at the gauges."""


class Soak:
    """A folder, the manifest in force, who is at it, and what was seen."""

    def __init__(self, seed: int, folder: Path, place: Place) -> None:
        self.rolled, self.place, self.folder = random.Random(seed), place, folder
        self.did: Counter[str] = Counter()
        self.seen: list[Gauges] = []
        self.children: list[Process] = []
        self.path = folder / "manifest.json"
        self.settings = Settings(
            models_dir=folder / "models", manifest=self.path, gateways=tuple(place.urls[f"gateway{n}"] for n in range(1, 5)),
            hf_endpoint=place.urls["hub"], kubo_api=place.urls["kubo"], timeout_s=0.5, connect_timeout_s=0.5, backoff_s=0.02,
            max_wait_s=0.2, deadline_s=DEADLINE_S, lock_timeout_s=2, reserve_bytes=0, bak_days=0, partial_idle_s=0,
            metrics_retention_h=0.005, publish_answer_s=5,
        )  # fmt: skip
        self.places = {
            self.settings.models_dir / model["dir"] / path: {
                other["files"][path]["sha256"] for other in place.manifest.values() if path in other["files"]
            }
            for model in place.manifest.values()
            for path in model["files"]
        }
        self.watched = Watched(dict(self.places), every_s=0.05)
        self.version = "old"
        self._write_manifest()
        self.acts: dict[Callable[[], str], int] = {
            self.sync_here: 30, self.sync_that_is_stopped: 8, self.child: 8, self.child_that_is_killed: 5, self.verify: 4,
            self.repair: 6, self.harm: 16, self.leave_a_partial: 4, self.change_the_manifest: 6, self.spoil: 14, self.heal: 8,
            self.publish: 2, self.ask: 3,
        }  # fmt: skip

    def step(self) -> None:
        """One act, in time; now and then a look."""
        [act] = self.rolled.choices(list(self.acts), list(self.acts.values()))
        began = time.monotonic()
        self.did[act()] += 1
        assert time.monotonic() - began < MOST_S, act.__name__
        assert not self.watched.wrong, self.watched.wrong
        if sum(self.did.values()) % BETWEEN_LOOKS == 0:
            self.look()

    def look(self) -> None:
        """All is well in the world: then a sync makes everything right (P5), and nothing is left over."""
        self.place.heal()
        self.end_children()
        report.forget(self.settings, [row["source"] for row in report.sources(self.settings)])
        summary = sync(settings=replace(self.settings, deadline_s=40), rehash=True)
        assert summary.ok, summary.failures
        self._all_right()
        self.watched.allowed = dict(self.places)
        self.seen.append(Gauges.read(self.settings.models_dir))

    def end_children(self) -> None:
        """Wait for them."""
        while self.children:
            child = self.children.pop()
            code = child.ended()
            assert code in {0, 1}, (child.command, code, child.said)

    def _manifest(self) -> dict[str, object]:
        return {name: self.place.manifest[name] for name in (self.version, "big")}

    def _write_manifest(self) -> None:
        new = self.path.with_name("new.json")
        new.write_text(json.dumps(self._manifest()))
        new.replace(self.path)

    def _all_right(self) -> None:
        manifest = Manifest.load(self.path)
        for model, file in manifest.files():
            held = (self.settings.models_dir / model.target(file)).read_bytes()
            assert hashlib.sha256(held).hexdigest() == file.sha256, file

    def sync_here(self) -> str:
        """In this process; if it says that all is right, it is, unless a child is at it, too."""
        settings = replace(
            self.settings,
            jobs=self.rolled.randint(1, 4),
            preferred_layer=self.rolled.choice(["ipfs", "huggingface"]),
        )
        chosen = self.rolled.choice([(), (), ("big",)])
        ok = sync(models=chosen, settings=settings).ok
        if ok and not chosen and not self.children:
            self._all_right()
        return f"sync, {'right' if ok else 'not all to be had'}"

    def sync_that_is_stopped(self) -> str:
        """By its caller's event, at any moment."""
        stop = threading.Event()
        timer = threading.Timer(self.rolled.uniform(0, 0.4), stop.set)
        timer.start()
        try:
            with contextlib.suppress(FallbackError):
                sync(settings=self.settings, stop=stop)
        finally:
            timer.cancel()
            timer.join()
        return "sync that is stopped"

    def _child(self) -> Process:
        command = self.rolled.choice(
            [["sync"], ["sync", "--json"], ["verify"], ["verify", "--repair"], ["status"]]
        )
        told = {
            "MODELS_DIR": str(self.settings.models_dir),
            "MANIFEST": str(self.path),
            "TIMEOUT_S": "0.5",
            "BACKOFF_S": "0.02",
        }
        told |= {
            "DEADLINE_S": "8",
            "RESERVE_BYTES": "0",
            "MAX_WAIT_S": "0.2",
            "METRICS_RETENTION_H": "0.005",
            "LOCK_TIMEOUT_S": "2",
        }
        told |= {"GATEWAYS": ",".join(self.settings.gateways), "HF_ENDPOINT": self.settings.hf_endpoint}
        environment = {f"FALLBACK_{name}": value for name, value in told.items()}
        return Process(command, environment, self.rolled.choice(["work", "work", "fail", "lie"]))

    def child(self) -> str:
        """A process of its own, which goes on while others act."""
        if len(self.children) > 1:
            self.end_children()
        self.children.append(self._child())
        return "child"

    def child_that_is_killed(self) -> str:
        """After less time than it needs, mostly."""
        child = self._child()
        time.sleep(self.rolled.uniform(0.1, 1.0))
        child.kill()
        return "child that is killed"

    def verify(self) -> str:
        """Hash everything."""
        states = {each.state for each in checking.check_files(self.settings)}
        return f"verify, {'right' if states == {'right'} else 'something wrong or missing'}"

    def repair(self) -> str:
        """Everything is hashed, and what is wrong fetched."""
        return f"repair, {'right' if sync(settings=self.settings, rehash=True).ok else 'not all to be had'}"

    def harm(self) -> str:
        """Somebody is at a file."""
        place, what = self.rolled.choice(sorted(self.places)), self.rolled.choice(["flip", "delete", "cut"])
        at = self.rolled.randrange(10**6)
        with contextlib.suppress(FileNotFoundError):
            held = bytearray(place.read_bytes())
            if what == "delete" or not held:
                place.unlink()
                return "delete"
            if what == "flip":
                held[at % len(held)] ^= 1
            else:
                del held[at % len(held) :]
            self.watched.allowed[place] = self.watched.allowed[place] | {hashlib.sha256(held).hexdigest()}
            new = place.with_name("harmed")
            new.write_bytes(held)
            new.replace(place)
        return what

    def leave_a_partial(self) -> str:
        """Of somebody who is gone: right at its beginning, or junk; with a ledger that says anything."""
        place = self.rolled.choice(sorted(self.places))
        digest = self.rolled.choice(sorted(self.places[place]))
        stem = f".{place.name}.{digest[:8]}-{self.rolled.randrange(16**4):04x}"
        place.parent.mkdir(parents=True, exist_ok=True)
        held = place.read_bytes()[: self.rolled.randrange(1, 200_000)] if place.is_file() else b""
        place.with_name(f"{stem}.partial").write_bytes(
            held or self.rolled.randbytes(self.rolled.randrange(1, 5000))
        )
        place.with_name(f"{stem}.ledger").write_text(
            self.rolled.choice(["", "{", '{"ledger": 1, "pure": true}\n', "[]\n[]\n"])
        )
        return "partial left"

    def change_the_manifest(self) -> str:
        """The other version is wanted from now on."""
        self.version = "new" if self.version == "old" else "old"
        self._write_manifest()
        return "manifest changed"

    def spoil(self) -> str:
        """Something goes wrong in the world."""
        return self.place.spoil(self.rolled)

    def heal(self) -> str:
        """And is well again."""
        self.place.heal()
        return "healed"

    def publish(self) -> str:
        """To the node that is there; what is wrong here is refused."""
        with contextlib.suppress(FallbackError):
            publishing.publish_models(["big"], to="kubo", settings=self.settings)
            return "published"
        return "publish refused"

    def ask(self) -> str:
        """Questions that need no network."""
        report.status(self.settings)
        report.preview(self.settings)
        for what in ("records", "summary", "health"):
            report.metrics_report(self.settings, what)
        return "questions"
