"""What the suite sees: bytes under a final name, how a client ended, what it left; each with something to be seen."""

from __future__ import annotations

import hashlib
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.journal import Entry
from tests.conformance import around, conftest, held, schema, verdict
from tests.conformance.case import Expect, all_cases
from tests.conformance.client import Process
from tests.conformance.stage import Run, Stage, UnsupportedError
from tests.conformance.watch import Watch, state

if TYPE_CHECKING:
    from collections.abc import Sequence

RIGHT = b"right"
DIGEST = hashlib.sha256(RIGHT).hexdigest()
JOB = {"folder": "/nowhere", "deadline_s": 5.0, "files": [{"path": "a", "size": 5, "sha256": DIGEST}]}
GOOD = Run(JOB, Path("/nowhere"), code=0, seconds=1.0, files={"a": DIGEST})


def entry(sent: int = 5) -> Entry:
    return Entry(0, 0.0, "gateway1", "", "GET", "/ipfs/x/a", "", None, {}, 200, sent)


class TestWatch:
    def test_a_file_that_grows_in_place_is_seen(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        with Watch({path: {DIGEST}}) as watch:
            path.write_bytes(b"ri")
            time.sleep(0.1)
            path.write_bytes(RIGHT)
        assert "held other bytes" in watch.problems[0]

    def test_a_rename_of_the_right_file_is_fine(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        with Watch({path: {DIGEST}}) as watch:
            (tmp_path / "b").write_bytes(RIGHT)
            (tmp_path / "b").replace(path)
            time.sleep(0.05)
        assert watch.problems == []

    def test_what_stood_there_before_may_stay(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        path.write_bytes(b"old")
        with Watch({path: {DIGEST}}) as watch:
            time.sleep(0.05)
            path.unlink()
            time.sleep(0.05)
        assert watch.problems == []

    def test_the_end_is_looked_at_too(self, tmp_path: Path) -> None:
        path = tmp_path / "a"
        with Watch({path: {DIGEST}}) as watch:
            path.write_bytes(b"wrong")
        assert watch.problems

    def test_a_link_a_folder_and_a_pipe_are_no_file(self, tmp_path: Path) -> None:
        import os

        (tmp_path / "link").symlink_to("/etc/hostname")
        os.mkfifo(tmp_path / "pipe")
        assert state(tmp_path / "link") == "link to /etc/hostname"
        assert state(tmp_path / "pipe") == "special file"
        assert state(tmp_path) == "folder"
        assert state(tmp_path / "none") == "absent"


class TestHeld:
    def test_files_count_as_what_they_take(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "b").write_bytes(b"x" * (1 << 20))
        assert 1 << 20 <= held.on_disk(tmp_path) < 2 << 20

    def test_the_most_that_a_process_had_is_remembered(self, tmp_path: Path) -> None:
        script = "x = b'x' * (64 << 20); del x; print('let go', flush=True); import time; time.sleep(60)"
        with Process(client(script), folder=tmp_path, env={}, limit_s=20) as process:
            ends_at = time.monotonic() + 15
            while "let go" not in process.said()["stdout"] and time.monotonic() < ends_at:
                time.sleep(0.02)
            assert 64 << 20 < held.in_memory(process.group()) < 256 << 20
        assert held.in_memory(process.group()) == 0


class TestVerdict:
    def test_a_good_run_has_no_problem(self) -> None:
        assert verdict.always(GOOD) == []

    @pytest.mark.parametrize(
        ("run", "said"),
        [
            (replace(GOOD, code=3), "0 and 1"),
            (replace(GOOD, code=-11), "SIGSEGV"),
            (replace(GOOD, files={"a": "absent"}), "exit 0, but a is not there"),
            (replace(GOOD, seconds=60.0), "its deadline was 5 s"),
            (replace(GOOD, was_killed=True, code=-9), "did not end"),
            (replace(GOOD, has_survivors=True), "went on after its end"),
            (replace(GOOD, strange=["/home/x"]), "outside its folders"),
            (replace(GOOD, seen=["a held other bytes"]), "held other bytes"),
            (replace(GOOD, entries=[entry(5 + verdict.SLACK + 1)]), "of one answer"),
        ],
    )
    def test_what_is_wrong_is_said(self, run: Run, said: str) -> None:
        assert said in " ".join(verdict.always(run))

    def test_a_failure_has_no_file(self) -> None:
        assert verdict.of_result(replace(GOOD, code=1), "failure")
        assert not verdict.of_result(replace(GOOD, code=1, files={"a": "absent"}), "failure")

    def test_requests_are_counted_by_server_without_questions_about_proofs(self) -> None:
        run = replace(
            GOOD, entries=[entry(), replace(entry(), query="format=raw"), replace(entry(), method="HEAD")]
        )
        assert len(run.asked("gateway1")) == 1
        assert run.asked("gateway2") == []

    def test_a_head_is_enough_of_a_question_and_none_too_many(self) -> None:
        """Who was silent to a HEAD has had its time; but a GET that follows one is the first request."""
        head = replace(entry(), method="HEAD")
        asked = replace(GOOD, entries=[head, entry()])
        assert problems(asked, least={"gateway1": 2}, most={"gateway1": 1}) == []
        assert problems(replace(GOOD, entries=[head]), least={"gateway1": 1}) == []
        assert "2 at least" in " ".join(problems(replace(GOOD, entries=[head]), least={"gateway1": 2}))

    def test_where_nobody_is_to_be_asked_a_head_is_too_many(self) -> None:
        asked = replace(GOOD, entries=[replace(entry(), method="HEAD")])
        assert problems(asked, most={"gateway1": 0}) == ["1 requests to gateway1, 0 at most"]


def problems(
    run: Run, *, least: dict[str, int] | None = None, most: dict[str, int] | None = None
) -> list[str]:
    """What is wrong with the run by a case that expects this of it."""
    expect = Expect(least=least or {}, most=most or {})
    return verdict.of_case(run, replace(all_cases()["R-ORDER-1"], expect=expect))


def client(script: str) -> Sequence[str]:
    return [sys.executable, "-c", script]


class TestProcess:
    def test_exit_code_and_output(self, tmp_path: Path) -> None:
        with Process(
            client("print('hi'); raise SystemExit(7)"), folder=tmp_path, env={}, limit_s=20
        ) as process:
            assert process.wait() == 7
        assert process.said()["stdout"] == "hi\n"

    def test_one_that_does_not_end_is_killed(self, tmp_path: Path) -> None:
        with Process(client("import time; time.sleep(60)"), folder=tmp_path, env={}, limit_s=0.3) as process:
            assert process.wait() == -9
        assert process.killed

    def test_a_child_that_goes_on_is_seen_and_ended(self, tmp_path: Path) -> None:
        script = "import subprocess; subprocess.Popen(['sleep', '60'])"
        with Process(client(script), folder=tmp_path, env={}, limit_s=20) as process:
            process.wait()
            assert process.survivors()
        assert not process.survivors()

    def test_what_would_tell_it_things_beside_its_job_is_left_out(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("FALLBACK_GATEWAYS", "http://127.0.0.1:1")
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        script = (
            "import os; raise SystemExit('FALLBACK_GATEWAYS' in os.environ or 'HTTP_PROXY' in os.environ)"
        )
        with Process(client(script), folder=tmp_path, env={}, limit_s=20) as process:
            assert process.wait() == 0

    def test_begun_in_the_background_it_can_be_interrupted_all_the_same(
        self, tmp_path: Path, pytestconfig: pytest.Config
    ) -> None:
        """A shell has what it begins with `&` ignore Ctrl-C, and who ignores a signal hands that on."""
        script = "import signal; raise SystemExit(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            conftest.pytest_configure(pytestconfig)
            with Process(client(script), folder=tmp_path, env={}, limit_s=20) as process:
                assert process.wait() == 0
        finally:
            signal.signal(signal.SIGINT, before)

    @pytest.mark.needs("cc")
    def test_the_wall_clock_jumps_and_nothing_else(self, tmp_path: Path) -> None:
        """Neither does the clock that never jumps, nor is a sleep disturbed."""
        script = "import time\ntime.sleep(0.01)\nprint(time.time(), time.monotonic())"
        command = [*around.wrapped(around.CLOCK, tmp_path), *client(script)]
        (tmp_path / "clock").write_text("-86400\n")
        with Process(command, folder=tmp_path, env={}, limit_s=20) as process:
            assert process.wait() == 0
        wall, monotonic = map(float, process.said()["stdout"].split())
        assert abs(time.time() - 86400 - wall) < 60
        assert abs(time.monotonic() - monotonic) < 60


def test_of_one_path_with_two_digests_either_may_be_there(tmp_path: Path) -> None:
    """R-HOSTILE-10's job; a third is no more right than ever."""
    script = """
import json, os, pathlib, sys, time
job = json.load(open(sys.argv[3]))
path = pathlib.Path(job["folder"], job["files"][0]["path"])
path.parent.mkdir(parents=True)
for name in job["put"]:
    path.with_name("part").write_text(name)
    path.with_name("part").rename(path)
    time.sleep(0.1)
"""
    digests = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("one", "two")}
    with Stage(all_cases()["R-HOSTILE-10"], client(script), tmp_path) as stage:
        job = stage.make_job()
        job["files"] = [{**job["files"][0], "sha256": digest} for digest in digests.values()]
        assert stage.run({**job, "put": ["one", "two", "one"]}).seen == []
        stage.target().unlink()
        stage.target().parent.rmdir()
        assert stage.run({**job, "put": ["one", "three"]}).seen != []


def test_exit_2_is_not_a_failure(tmp_path: Path) -> None:
    with Stage(all_cases()["R-ORDER-1"], client("raise SystemExit(2)"), tmp_path) as stage:
        with pytest.raises(UnsupportedError):
            stage.run()
        assert stage.problems == []


def test_a_client_that_does_nothing_fails(tmp_path: Path) -> None:
    with Stage(all_cases()["R-ORDER-1"], client("pass"), tmp_path) as stage:
        stage.judge(stage.run())
    assert "is not there and right" in " ".join(stage.problems)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"status": "done"}, "none of"),
        ({"percent": 101}, "more than 100"),
        ({"downloaded": -1}, "less than 0"),
        ({"attempt": True}, "not of type integer"),
        ([], "not of type object"),
    ],
)
def test_a_schema_says_what_is_wrong(line: object, said: str) -> None:
    assert said in " ".join(schema.problems_of("events", line))


def test_a_schema_says_what_is_missing_and_where() -> None:
    assert "metrics.records[0] has no layer" in schema.problems_of(
        "metrics", {"records": [{"timestamp": "2026-01-01T00:00:00"}], "summary": {}}
    )
