"""The folder in which the files of new versions wait until all of them are here: below the models folder.

Exclusions: what is fetched into it is others' to say (`upgrade`, `bundles`), and when its files get their names is
`switch`'s.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import shutil
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fallback import locks
from fallback.names import UPGRADES
from fallback.sweeping import Leftover

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from fallback.manifest import Model
    from fallback.settings import Settings
    from fallback.wanted import Wanted

INTENT = "entry.json"
FILES = "files"
BUNDLE = "bundle"
"""How the folder's name begins where a bundle's files wait."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Where the files of new versions wait: `files` has them at their paths below the models folder."""

    folder: Path

    @classmethod
    def of(cls, settings: Settings, model: Model) -> Waiting:
        """The place of this version of the model: always the same, so that a second attempt finds the first one's files."""
        assert model.huggingface is not None, "a new version comes from a repository"
        about = f"{model.name}\0{model.huggingface.repo}\0{model.huggingface.path}"
        key = hashlib.sha256(about.encode()).hexdigest()[:16]
        return cls(settings.models_dir / UPGRADES / f"{key}-{model.huggingface.revision[:16]}")

    @property
    def files(self) -> Path:
        """The folder of the files."""
        return self.folder / FILES

    @property
    def intent(self) -> Path:
        """What is about to be done with them, while it is."""
        return self.folder / INTENT

    @property
    def is_of_bundle(self) -> bool:
        """Whether an install waits here, and no upgrade."""
        return self.folder.name.startswith(f"{BUNDLE}-")

    def place(self, wanted: Wanted) -> Path:
        """Where the file waits, if it does."""
        return self.files / wanted.model.target(wanted.file)

    def is_empty(self) -> bool:
        """Whether no file waits here."""
        return not any(names for _here, _folders, names in os.walk(self.files))

    def locked(self, settings: Settings, timeout_s: float | None = None) -> AbstractContextManager[bool]:
        """Hold what keeps two processes from upgrading the same model at a time."""
        name = f"{self.folder.name.partition('-')[0]}.upgrade.lock"
        seconds = settings.lock_timeout_s if timeout_s is None else timeout_s
        return locks.held(settings.state_path / "locks" / name, timeout_s=seconds)

    def drop_others(self) -> None:
        """Delete what waits for other versions of the same model: nobody comes for it any more."""
        for other in self.folder.parent.glob(f"{self.folder.name.partition('-')[0]}-*"):
            if other != self.folder and not Waiting(other).intent.exists():
                shutil.rmtree(other, ignore_errors=True)

    def left_over(self, before: float = math.inf) -> Leftover | None:
        """What is here, if no switch needs it and nobody has touched any of it since that moment."""
        if self.folder.is_symlink() or not self.folder.is_dir() or self.intent.exists():
            return None
        walk = ((here, name) for here, folders, names in os.walk(self.folder) for name in (*folders, *names))
        abouts = [self.folder.lstat(), *(os.lstat(f"{here}/{name}") for here, name in walk)]
        touched_at = max(max(about.st_mtime, about.st_ctime) for about in abouts)
        size = sum(about.st_size for about in abouts if stat.S_ISREG(about.st_mode))
        return Leftover(self.folder, "version", size, touched_at) if touched_at < before else None

    def drop_if_still(self, left: Leftover, settings: Settings) -> bool:
        """Delete it if it is what it was when it was looked at, and no upgrade is at it; whether it was.

        Raises:
            OSError: it cannot be deleted.
        """
        with self.locked(settings, timeout_s=0) as is_ours:
            if not is_ours or self.left_over() != left:
                return False
            shutil.rmtree(self.folder)
        return True

    def drop_if_over(self, settings: Settings) -> None:
        """Delete the folder if nothing waits in it any more and nobody is about to fill it: who was at it was killed."""
        if self._is_over():
            with self.locked(settings, timeout_s=0) as is_ours:
                if is_ours and self._is_over():
                    self.drop()

    def _is_over(self) -> bool:
        is_ours = self.folder.is_dir() and not self.folder.is_symlink()
        return is_ours and not self.intent.exists() and self.is_empty()

    def drop(self) -> None:
        """Delete the folder, and that of all of them if it was the last."""
        # The intent goes last: as long as it is there, whoever comes after a kill finishes this, too.
        shutil.rmtree(self.files, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            self.folder.parent.rmdir()
