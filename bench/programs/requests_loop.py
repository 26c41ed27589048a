"""A download loop as people write it: one file after the other, straight to its final name, believed when it is there.

A program of its own, run as `requests_loop.py FILES.json`; FILES.json is {path: {"urls": [url, …]}}. It is here to be
compared with, not to be copied.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import requests


def main() -> int:
    """Have every file from the first URL that answers; returns the exit code."""
    files = json.loads(Path(sys.argv[1]).read_text())
    had = [_have(Path(path), file["urls"]) for path, file in files.items()]
    return 0 if all(had) else 1


def _have(target: Path, urls: list[str]) -> bool:
    if target.exists():
        return True
    target.parent.mkdir(parents=True, exist_ok=True)
    return any(_download(url, target) for url in urls)


def _download(url: str, target: Path) -> bool:
    try:
        with requests.get(url, stream=True, timeout=30) as response:
            response.raise_for_status()
            with target.open("wb") as out:
                # 8192 is what the loops of a thousand answers and READMEs say.
                for chunk in response.iter_content(chunk_size=8192):
                    out.write(chunk)
    except requests.RequestException as error:
        sys.stderr.write(f"{url}: {error}\n")
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
