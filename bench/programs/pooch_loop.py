"""pooch at its best: it verifies by SHA-256, tries again, and is told of the next URL when one fails.

A program of its own, run as `pooch_loop.py FILES.json`; FILES.json is {path: {"urls": [url, …], "sha256": hex}}.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pooch
import requests


def main() -> int:
    """Have every file; returns the exit code."""
    pooch.get_logger().setLevel("ERROR")
    files = json.loads(Path(sys.argv[1]).read_text())
    had = [_have(Path(path), file["urls"], file["sha256"]) for path, file in files.items()]
    return 0 if all(had) else 1


def _have(target: Path, urls: list[str], sha256: str) -> bool:
    for url in urls:
        try:
            pooch.retrieve(url, f"sha256:{sha256}", fname=target.name, path=target.parent)
        except (requests.RequestException, ValueError) as error:
            sys.stderr.write(f"{url}: {error}\n")
        else:
            return True
    return False


if __name__ == "__main__":
    sys.exit(main())
