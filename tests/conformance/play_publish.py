"""Publishing: what is told must be had, and what came back wrong must not be told."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING
from urllib.parse import quote

from fakes.pinata import JWT

from . import verdict

if TYPE_CHECKING:
    from .stage import Run, Stage


def publish(stage: Stage) -> None:
    """One run of `publish`; the case says whether it works, and for whom."""
    given = stage.case.given
    result = stage.sandbox / "published.json"
    where = {"kubo": stage.world.kubo, "pinata": stage.world.pinata}[given["to"]]
    order = {
        "to": given["to"],
        "api": where,
        "token": JWT if given["to"] == "pinata" else None,
        "result": str(result),
    }
    if given.get("spoil"):
        with stage.target().open("r+b") as stream:
            stream.write(b"spoilt")
    run = stage.run(stage.make_job(publish=order), verb="publish")
    if given.get("works"):
        _can_be_had(stage, run, json.loads(result.read_text()) if result.exists() else {})
    else:
        stage.demand(run.code == 1, f"exit {run.code}, though nothing was published")
    uploads = [
        entry for entry in run.entries if entry.server in {"kubo", "pinata"} and entry.method == "POST"
    ]
    if given.get("no_upload"):
        sent = [entry for entry in uploads if not entry.path.endswith("/version")]
        stage.demand(not sent, "a file that is wrong on disk was sent")
    if given.get("token"):
        told = [entry for entry in uploads if entry.headers.get("authorization") == f"Bearer {JWT}"]
        elsewhere = [entry for entry in run.entries if entry.server != "pinata" and JWT in str(entry.headers)]
        stage.demand(told, "Pinata was not sent the token as Authorization: Bearer")
        stage.demand(not elsewhere, "another server was sent the token")


def _can_be_had(stage: Stage, run: Run, told: dict[str, str]) -> None:
    """Every file is at a gateway, below the CID of its model."""
    stage.problems += verdict.of_result(run, "right")
    for each in stage.files:
        url = f"{stage.world.gateways[0]}/ipfs/{told.get(each.model)}/{quote(each.name)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                stage.demand(answer.read() == bytes(each.blob.view()), f"{url} is another file")
        except urllib.error.HTTPError as error:
            stage.demand(False, f"{url}: {error.code}")  # noqa: FBT003 - a plain statement
