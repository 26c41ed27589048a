"""A world in a process of its own, driven by its control API: for programs that must not share an interpreter with it.

Exclusions: which rules are played, and what is made of the journal, is the caller's; in one process, `fakes.world`.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import urllib.request
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

START_S = 120.0
"""Making and hashing 492 MB on a slow disk, the first time on a machine; later starts take a second."""

Entry = dict[str, Any]
"""One request in the journal, as JSON has it."""


class WorldApart:
    """`python -m fakes up`, from `with` to the end of the block.

    `urls` is by server name (gateway1…4, hub, cdn), `manifest` the one whose files this world serves, `size` full or small.
    With a `manifest` file, that world serves its models in place of the engine's own; `scratch` is where it keeps their
    bytes, if not where all worlds do.
    """

    def __init__(self, size: str, manifest: Path | None = None, scratch: Path | None = None) -> None:
        self.size = size
        self._surroundings = os.environ | ({"FAKES_SCRATCH": str(scratch)} if scratch else {})
        self._command = [sys.executable, "-m", "fakes", "up", "--json", "--size", size]
        if manifest is not None:
            self._command += ["--manifest", str(manifest)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, with arguments of ours
            self._command,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            env=self._surroundings,
        )
        try:
            told = json.loads(self._first_line())
        except BaseException:
            self._end()
            raise
        self.urls: dict[str, str] = told["urls"]
        self.manifest: dict[str, Any] = told["manifest"]
        self._control: str = told["control"]
        self._environment: dict[str, str] = told["environment"]
        # A proxy of the environment must not see requests to loopback.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def gateways(self) -> list[str]:
        """The gateways' URLs, in order."""
        return [url for name, url in sorted(self.urls.items()) if name.startswith("gateway")]

    @property
    def hub(self) -> str:
        """The Hub's URL."""
        return self.urls["hub"]

    @property
    def publishing(self) -> dict[str, str]:
        """The environment that points a publisher at the fakes of Pinata and Kubo."""
        return {
            name: value for name, value in self._environment.items() if "PINATA" in name or "KUBO" in name
        }

    def play(self, name: str, rules: Sequence[Mapping[str, Any]] = ()) -> None:
        """Put these rules into force and no others, and begin the journal anew."""
        self._ask("PUT", "/scenario", {"name": name, "rules": list(rules)})
        self._ask("DELETE", "/journal")

    def unpublish(self) -> None:
        """Let the gateways have nothing until Pinata or Kubo is sent it."""
        self._ask("DELETE", "/blocks")

    def journal(self) -> list[Entry]:
        """Every request since the last `play`."""
        entries: list[Entry] = self._ask("GET", "/journal")
        return entries

    def _ask(self, method: str, path: str, document: Any = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(  # noqa: S310 - the URL is this world's own
            self._control + path, body, headers, method=method
        )
        with self._opener.open(request, timeout=60) as response:
            text = response.read()
        return json.loads(text) if text else None

    def _first_line(self) -> str:
        """What it says of itself; a read of a pipe takes no timeout, so a thread reads it."""
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        stdout = self._process.stdout
        assert stdout is not None
        threading.Thread(target=lambda: lines.put(stdout.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=START_S)
        except queue.Empty:
            raise RuntimeError(f"the fakes said nothing within {START_S:.0f} s") from None
        if not line:
            raise RuntimeError(f"the fakes ended at once, with exit code {self._process.wait(10)}")
        return line

    def _end(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
