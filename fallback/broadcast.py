"""The original's broadcast: folds the events of one run into `model_download_progress` messages.

The shape is DESIGN.md's ("Broadcast"). A message with `file` speaks of that file, one without of the
run; `completedFiles` and `totalFiles` are always the run's. Ours adds to each `runId` and `model` (the
model's own name; a run's message lists them all), to a file's that waits `waitSeconds` and `reason`,
and to a run's last one `ok` (how many files are right) and `failed`.

What changed is marked, and messages are made when somebody asks for them: whoever asks seldom gets the
newest of each file and of the run, the final one always, and costs the download nothing.

Pure: time and marks are parameters. Exclusions: who is told, how often and in what frame is
`server.feed`'s; no event of publishing or of making manifests is told.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fallback.events import (
    AttemptEnded,
    AttemptEvent,
    AttemptStarted,
    CacheHit,
    FileCompleted,
    FileEvent,
    FileFailed,
    Progressed,
    RunEnded,
    RunStarted,
    Waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fallback.events import Event

TYPE = "model_download_progress"
_IDS = {"stt": "whisper", "voice": "tts"}


def model_id(name: str, model_type: str) -> str:
    """What the original calls a model: by its type, else by its name."""
    return _IDS.get(model_type, name)


@dataclass(slots=True)
class _File:
    """How a file stands, since mark `mark`; sizes in bytes, `speed` in bytes/s, `eta` in seconds."""

    status: str = "attempting"
    source: str | None = "cache"
    gateway: str | None = None
    downloaded: int = 0
    total: int | None = None
    speed: float = 0.0
    eta: float | None = None
    attempts: int = 0
    error: str | None = None
    done: bool = False
    waits: dict[str, Any] = field(default_factory=dict)
    mark: int = 0
    at: int = 0


@dataclass(slots=True)
class _Run:
    """How the run stands; what it sums up over its files is kept up to date, for there may be many."""

    status: str = "attempting"
    files: int = 0
    total: int = 0
    downloaded: int = 0
    completed: int = 0
    retries: int = 0
    failure: str | None = None
    error: str | None = None
    done: bool = False
    tally: dict[str, int] = field(default_factory=dict)
    mark: int = 0
    at: int = 0


class Broadcast:
    """One run, as its events tell it.

    Args:
        run_id: the run's, for `runId`.
        types: the models' types by name.
        sizes: the files' sizes in bytes by model and path, where they are known.
        now: ms since the epoch.
        mark: a number greater than any it gave before, also to other runs that share it.
    """

    def __init__(
        self,
        run_id: str,
        types: Mapping[str, str],
        sizes: Mapping[tuple[str, str], int | None],
        *,
        now: Callable[[], int],
        mark: Callable[[], int],
    ) -> None:
        self._run_id, self._types, self._sizes = run_id, dict(types), sizes
        self._now, self._mark = now, mark
        self._lock = threading.Lock()
        self._files: dict[tuple[str, str], _File] = {}
        self._under_way: dict[tuple[str, str], _File] = {}
        self._run = _Run()
        self._touch(self._run)

    def __call__(self, event: Event) -> None:
        """Note what `event` changes."""
        with self._lock:
            match event:
                case RunStarted(files=files, bytes_total=total):
                    self._run.files, self._run.total = files, total
                    self._touch(self._run)
                case RunEnded():
                    self._ended(event)
                case FileEvent():
                    self._change(event)
                case _:
                    pass

    def fail(self, error: str, ended: RunEnded | None = None) -> None:
        """The run came to an error; `ended` is what it told of its end, if it came to that."""
        with self._lock:
            if ended is not None:
                self._run.tally = {"ok": ended.files, "failed": ended.failed}
            self._run.status, self._run.error = "error", error
            self._end()

    @property
    def is_done(self) -> bool:
        """Whether the run is over."""
        return self._run.done

    def since(self, mark: int, most: int | None = None) -> list[tuple[int, dict[str, Any]]]:
        """What changed after `mark`: for each such file, in the order they changed, its mark and its message,
        then the run's. `most`: so many files at most, those that changed first.
        """
        with self._lock:
            changed = [(file.mark, name, file) for name, file in self._files.items() if file.mark > mark]
            changed.sort(key=lambda each: each[0])
            messages = [(at, self._of_file(name, file)) for at, name, file in changed[:most]]
            is_new = messages or self._run.mark > mark
            return [*messages, (self._run.mark, self._of_run())] if is_new else []

    def _change(self, event: FileEvent) -> None:
        name = (event.model, event.path)
        file = self._files.get(name) or _File(total=self._sizes.get(name))
        before = file.downloaded, file.attempts, file.done and not file.error
        if not _changed(file, event):
            return
        run = self._run
        self._files[name] = file
        if file.done:
            self._under_way.pop(name, None)
        else:
            self._under_way[name] = file
        run.downloaded += file.downloaded - before[0]
        run.retries += max(0, file.attempts - 1) - max(0, before[1] - 1)
        run.completed += (file.done and not file.error) - before[2]
        if isinstance(event, Progressed):
            run.status = "downloading"
        if isinstance(event, FileFailed):
            run.failure = run.failure or event.error
        self._touch(file)
        self._touch(run)

    def _ended(self, event: RunEnded) -> None:
        run = self._run
        run.tally = {"ok": event.files, "failed": event.failed}
        run.status = "paused" if event.stopped else "error" if event.failed else "completed"
        if run.status == "error":
            run.error = run.failure or f"{event.failed} file(s) failed"
        self._end()

    def _end(self) -> None:
        """What is not over when a run ends goes on in the next one."""
        for file in self._under_way.values():
            file.status, file.speed, file.eta, file.done, file.waits = "paused", 0.0, None, True, {}
            self._touch(file)
        self._under_way.clear()
        self._run.done = True
        self._touch(self._run)

    def _touch(self, changed: _File | _Run) -> None:
        changed.mark, changed.at = self._mark(), self._now()

    def _of_run(self) -> dict[str, Any]:
        run, under_way = self._run, list(self._under_way.values())
        latest = next((file for file in reversed(under_way) if file.gateway), _File(source=None))
        ids = dict.fromkeys(model_id(name, kind) for name, kind in self._types.items())
        speed = sum(file.speed for file in under_way)
        message = {
            **self._common(",".join(ids), min(run.downloaded, run.total), run.total, run.at),
            "model": list(self._types),
            "downloadSpeed": round(speed, 1),
            "eta": round(max(0, run.total - run.downloaded) / speed, 2) if speed else None,
            "retryCount": run.retries,
            "currentGateway": latest.gateway,
            "status": run.status,
            "source": latest.source,
            "gateway": latest.gateway,
            "done": run.done,
            "downloading": not run.done,
        }
        return message | ({"error": run.error} if run.error else {}) | run.tally

    def _of_file(self, name: tuple[str, str], file: _File) -> dict[str, Any]:
        model, path = name
        of_model = model_id(model, self._types.get(model, ""))
        message = {
            **self._common(of_model, file.downloaded, file.total, file.at),
            "model": model,
            "downloadSpeed": round(file.speed, 1),
            "eta": None if file.eta is None else round(file.eta, 2),
            "retryCount": max(0, file.attempts - 1),
            "currentGateway": file.gateway,
            "status": file.status,
            "source": file.source,
            "file": path,
            "gateway": file.gateway,
            "done": file.done,
            "downloading": not file.done,
        }
        return message | ({"error": file.error} if file.error else {}) | file.waits

    def _common(self, of_model: str, downloaded: int, total: int | None, at: int) -> dict[str, Any]:
        percent = _percent(downloaded, total)
        return {
            "type": TYPE,
            "runId": self._run_id,
            "modelId": of_model,
            "bytesDownloaded": downloaded,
            "bytesRemaining": None if total is None else max(0, total - downloaded),
            "totalBytes": total,
            "percentComplete": percent,
            "progress": percent,
            "completedFiles": self._run.completed,
            "totalFiles": self._run.files,
            "started": True,
            "timestamp": at,
        }


def _changed(file: _File, event: FileEvent) -> bool:
    """Whether `event` is one that a file's message tells of; if so, the file is as it is after it."""
    if isinstance(event, AttemptEvent):
        file.source, file.gateway, file.waits = event.layer, event.source, {}
    match event:
        case AttemptStarted(offset=offset):
            file.status, file.downloaded, file.error = "attempting", offset, None
            file.attempts += 1
        case Progressed(downloaded=downloaded, total=total, rate_bytes_s=rate, eta_s=eta):
            file.status, file.downloaded, file.total = "downloading", downloaded, total
            file.speed, file.eta = rate, eta
        case AttemptEnded(bytes_total=total):
            file.total, file.speed, file.eta = total if total is not None else file.total, 0.0, None
            if not event.is_error:
                return False  # the file's completion follows
            file.status, file.error = "error", event.reason
        case Waiting(seconds=seconds, reason=reason):
            file.status = "attempting"
            file.waits = {"waitSeconds": round(seconds, 2), "reason": reason}
        case CacheHit(size=size):
            _succeed(file, "cache", None, size)
        case FileCompleted(layer=layer, source=source, size=size):
            _succeed(file, layer, source or None, size)
        case FileFailed(error=error):
            file.status, file.error, file.done, file.waits = "error", error, True, {}
            file.speed, file.eta = 0.0, None
        case _:
            return False
    return True


def _succeed(file: _File, source: str, gateway: str | None, size: int) -> None:
    file.status, file.done, file.error, file.waits = "success", True, None, {}
    file.source, file.gateway = source, gateway
    file.downloaded = file.total = size
    file.speed, file.eta = 0.0, None


def _percent(downloaded: int, total: int | None) -> float | None:
    if total is None:
        return None
    return min(100.0, round(100 * downloaded / total, 2)) if total else 100.0
