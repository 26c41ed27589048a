"""The service tells no secret: neither those it was started with, nor the one that lets people in (P7)."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from tests.hostile.canaries import clean, on_disk

if TYPE_CHECKING:
    from tests.hostile.canaries import Echo

SERVED = "canaryA7"
ROUTES = ("", "metrics", "healthz", "openapi.json", "api/models", "api/models/sync", "api/downloads", "api/sources",
          "api/metrics/downloads", "api/metrics/downloads/summary", "api/metrics/downloads/health", "nothing")  # fmt: skip


def test_no_answer_of_the_service_holds_a_secret(environment: dict[str, str], echo: Echo) -> None:
    """While every source hands back what it was sent, in every place an answer has."""
    told = {**os.environ, **environment, "FALLBACK_SERVE_TOKEN": SERVED, "FALLBACK_SERVE_PORT": "0"}
    command = [sys.executable, "-m", "fallback", "serve"]
    child = subprocess.Popen(command, env=told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        url = child.stdout.readline().split()[-1].rstrip("/")
        with requests.Session() as session:
            session.trust_env = False
            session.headers["Authorization"] = f"Bearer {SERVED}"
            for _ in range(3):
                begun = session.post(f"{url}/api/models/sync", timeout=10).json()
                run = f"{url}/api/models/sync/{begun['run']}"
                ends_at = time.monotonic() + 40
                while (answer := session.get(run, timeout=10)).json()["status"] in {
                    "started",
                    "running",
                    "attempting",
                }:
                    clean(answer.text, "a run")
                    assert time.monotonic() < ends_at
                    time.sleep(0.1)
                for route in ROUTES:
                    answer = session.get(f"{url}/{route}", timeout=10)
                    clean(answer.content, route)
                    clean(str(answer.headers), route)
            refused = requests.get(
                f"{url}/api/models", headers={"Authorization": f"Bearer x{SERVED}"}, timeout=10
            )
            assert refused.status_code == 401
            clean(refused.text + str(refused.headers), "a refusal")
    finally:
        child.terminate()
        out, err = child.communicate(timeout=20)
    clean(out + err, "what it printed")
    assert echo.answered > 20
    on_disk(Path(environment["FALLBACK_MODELS_DIR"]))
