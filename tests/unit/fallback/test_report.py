"""Questions about a models folder: the answers are true, and asking changes nothing."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from fallback import report
from fallback.errors import SettingsError, UnknownModelError
from fallback.health import Health
from fallback.settings import Settings
from fallback.state import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATA = b"{}\n"
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """One model with one file and a CID, one without a CID, one that no source has a name for."""
    files = {"config.json": {"size": len(DATA), "sha256": SHA}}
    document: dict[str, Any] = {
        "both": {"huggingface": {"repo": "org/both"}, "ipfs": {"cid": "bafyboth"}, "files": files},
        "hub": {"huggingface": {"repo": "org/hub"}, "files": files},
        "none": {"files": files},
    }
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(document))
    return Settings(
        models_dir=tmp_path / "models",
        manifest=path,
        gateways=("http://one.invalid", "http://two.invalid:81"),
        hf_endpoint="http://hub.invalid",
    )


def changed(settings: Settings, **values: Any) -> Settings:
    names = [name for name in settings.__dataclass_fields__ if name != "origins"]
    return Settings(**{name: getattr(settings, name) for name in names} | values)


def known(settings: Settings, **health: Health) -> None:
    with State(settings.state_path, pytest.fail) as state:
        for source, record in health.items():
            state.health.save(source.replace("_", "."), record)


def test_preview_has_a_file_s_urls_in_the_order_they_would_be_asked(settings: Settings) -> None:
    """By CID at the gateways, by repository at the Hub; who has no name for a file is left out."""
    both, hub, none = report.preview(settings)
    resolve = "http://hub.invalid/org/both/resolve/main/config.json"
    gateways = tuple(f"{url}/ipfs/bafyboth/config.json" for url in settings.gateways)
    assert (both.model, both.path, both.size, both.here) == ("both", "config.json", 3, False)
    assert both.urls == (*gateways, resolve)
    assert hub.urls == ("http://hub.invalid/org/hub/resolve/main/config.json",)
    assert none.urls == ()
    first = report.preview(changed(settings, preferred_layer="huggingface"))[0]
    assert first.urls == (resolve, *gateways)


def test_preview_knows_the_newest_cid_of_the_database(settings: Settings) -> None:
    """A model that was published from here has a CID though its manifest has none."""
    with State(settings.state_path, pytest.fail) as state:
        state.cids.add("bafynewest", "hub", "hub", now=1.0)
    assert report.preview(settings)[1].urls[0] == "http://one.invalid/ipfs/bafynewest/config.json"


def test_preview_of_some_models_and_of_an_unknown_one(settings: Settings) -> None:
    assert [planned.model for planned in report.preview(settings, ["hub"])] == ["hub"]
    with pytest.raises(UnknownModelError, match='only "both", "hub", "none"'):
        report.preview(settings, ["nope"])


def test_offline_nobody_would_be_asked(settings: Settings) -> None:
    assert {planned.urls for planned in report.preview(changed(settings, offline=True))} == {()}


QUESTIONS: list[Callable[[Settings], object]] = [
    report.preview,
    report.sources,
    report.status,
    lambda settings: report.forget(settings, ["one.invalid"]),
    lambda settings: report.metrics_report(settings, "summary"),
    lambda settings: report.metrics_report(settings, "reset"),
]


@pytest.mark.parametrize("ask", QUESTIONS)
def test_asking_makes_no_folder(settings: Settings, ask: Callable[[Settings], object]) -> None:
    """A mistyped models folder must not spring up because somebody asked what is in it."""
    ask(settings)
    assert not settings.models_dir.exists()


@pytest.mark.parametrize("ask", QUESTIONS)
def test_a_file_in_the_place_of_the_models_folder_is_no_error(
    settings: Settings, ask: Callable[[Settings], object]
) -> None:
    """Nothing is here, then; only a sync must fail for it."""
    settings.models_dir.write_bytes(b"")
    ask(settings)
    assert {file["state"] for file in report.status(settings)["files"]} == {"missing"}


def test_a_corrupt_database_is_said_and_what_it_held_begins_anew(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    """P11: on stderr, for stdout is the answer."""
    settings.state_path.mkdir(parents=True)
    (settings.state_path / "state.sqlite3").write_bytes(b"not a database" * 100)
    assert {source["health"] for source in report.sources(settings)} == {"up"}
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("warning: ")
    assert "is corrupt" in err


def test_sources_say_what_is_known_of_each_and_why(settings: Settings) -> None:
    now = time.time()
    known(
        settings,
        one_invalid=Health(cooling_until=now + 100, reason="no answer within 30 s"),
        hub_invalid=Health(bans={SHA: now + 1000, "0" * 64: now - 1}, reason="wrong bytes"),
    )
    one, two, hub = report.sources(settings)
    assert one["health"] in {f"cooling for {left} s: no answer within 30 s" for left in (99, 100)}
    assert (one["state"], one["reason"]) == ("cooling", "no answer within 30 s")
    nothing = {"health": "up", "state": "up", "reason": ""}
    assert two == {"layer": "ipfs", "source": "two.invalid:81", **nothing}
    assert hub["health"] == "up, not believed for 1 file(s): wrong bytes"


def test_a_pause_beyond_any_rule_was_written_under_another_clock(settings: Settings) -> None:
    """What the next run would drop is not told as if it held."""
    known(settings, one_invalid=Health(cooling_until=time.time() + 1e6, reason="?"))
    assert report.sources(settings)[0]["health"] == "up"


def test_forget_takes_hosts_and_urls_and_gives_back_those_unknown(settings: Settings) -> None:
    known(settings, one_invalid=Health(retired=True, reason="gone"))
    known(settings, **{"two_invalid:81": Health(retired=True, reason="gone")})
    asked = ["ONE.invalid", "http://two.invalid:81/ipfs", "three.invalid"]
    assert report.forget(settings, asked) == ["three.invalid"]
    assert {source["health"] for source in report.sources(settings)} == {"up"}


@pytest.mark.parametrize("url", ["http://[::1", "http://one.invalid:99999"])
def test_forget_refuses_what_is_no_url_before_it_forgets_anything(settings: Settings, url: str) -> None:
    known(settings, one_invalid=Health(retired=True, reason="gone"))
    with pytest.raises(SettingsError, match="a host, or a URL with one"):
        report.forget(settings, ["one.invalid", url])
    assert report.sources(settings)[0]["health"] == "retired: gone"


def test_settings_report_is_plain_data_without_a_secret(settings: Settings) -> None:
    """P7; and it can be written as JSON as it is."""
    told = report.settings_report(changed(settings, hf_token="hunter2"))
    assert "hunter2" not in json.dumps(told)
    assert told["hf_token"] == ("set", "given")
    assert report.settings_report(settings)["hf_token"] == ("not set", "given")
    assert told["gateways"] == (["http://one.invalid", "http://two.invalid:81"], "given")
    assert told["models_dir"] == (str(settings.models_dir), "given")
    assert told["offline"] == (False, "given")
    assert (told["deadline_s"], "origins" in told) == ((None, "given"), False)


def test_status_of_files_with_no_row_is_unverified_or_missing(settings: Settings) -> None:
    """Nothing is hashed to answer: what is said is what somebody proved."""
    target = settings.models_dir / "hub/config.json"
    target.parent.mkdir(parents=True)
    target.write_bytes(DATA)
    told = report.status(settings)
    assert [file["state"] for file in told["files"]] == ["missing", "unverified", "missing"]
    assert {file["verified_at"] for file in told["files"]} == {None}
    assert (told["manifest"], told["last_error"]) == (str(settings.manifest), None)
