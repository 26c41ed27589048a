import os
import time
from pathlib import Path

import pytest

from fallback import Manifest, Settings, find_leftovers, sync
from fallback.errors import StorageError
from fallback.manifest import File, Model
from fallback.places import Places, walked
from fallback.wanted import Wanted

FILE = File(path="onnx/a.bin", size=1, sha256="0" * 64)
WANTED = Wanted(Model(name="m", type="stt", dir="m", files=(FILE,)), FILE)


def test_a_file_is_known_by_its_place_below_the_root_or_by_all_of_it(tmp_path: Path) -> None:
    assert Places(tmp_path).target(WANTED) == tmp_path / "m" / "onnx" / "a.bin"
    assert Places(tmp_path).key(WANTED) == "m/onnx/a.bin"
    assert Places(tmp_path, alone=True).key(WANTED) == f"{tmp_path}/m/onnx/a.bin"


@pytest.mark.parametrize("link", ["m", "m/onnx"])
@pytest.mark.parametrize("to", ["out", "root/../out", "."])
def test_a_link_at_any_height_that_leads_out_is_refused(tmp_path: Path, link: str, to: str) -> None:
    """P8."""
    root = tmp_path / "root"
    (tmp_path / "out" / "onnx").mkdir(parents=True)
    (root / link).parent.mkdir(parents=True)
    (root / link).symlink_to(tmp_path / to)
    with pytest.raises(StorageError, match="leads out of the models folder"):
        Places(root).inside(root / "m" / "onnx" / "a.bin")


def test_a_link_that_stays_inside_and_one_to_the_root_itself_are_the_users_own(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (tmp_path / "large disk" / "elsewhere").mkdir(parents=True)
    root.symlink_to(tmp_path / "large disk")
    (root / "m").symlink_to(root / "elsewhere")
    places = Places(root)
    places.inside(root / "m" / "onnx" / "a.bin")
    places.inside(root / "a.bin")
    with pytest.raises(StorageError):
        places.inside(tmp_path / "out" / "a.bin")
    with pytest.raises(StorageError):
        places.inside(tmp_path / "root2" / "a.bin")


def test_a_link_that_appears_later_is_seen(tmp_path: Path) -> None:
    """What was looked at once may be swapped the next moment."""
    root = tmp_path / "root"
    (root / "m").mkdir(parents=True)
    places = Places(root)
    places.inside(root / "m" / "a.bin")
    (root / "m").rmdir()
    (root / "m").symlink_to(tmp_path)
    with pytest.raises(StorageError):
        places.inside(root / "m" / "a.bin")


def test_a_walk_is_that_of_the_system_s_module(tmp_path: Path) -> None:
    """Links to folders are told of and not followed; what is taken out is not walked; what cannot be read is told."""
    for path in ("a/b/c", "a/d", "e", "out/of/it"):
        (tmp_path / path).mkdir(parents=True)
        (tmp_path / path / "file").write_bytes(b"")
    (tmp_path / "a/link").symlink_to("../e")
    (tmp_path / "a/round").symlink_to("round")
    walks = []
    for walk in (walked(tmp_path), os.walk(tmp_path)):
        seen = {}
        for here, folders, names in walk:
            seen[here] = (set(folders), set(names))
            folders[:] = [name for name in folders if name != "out"]
        walks.append(seen)
    assert walks[0] == walks[1]
    failed: list[OSError] = []
    assert list(walked(tmp_path / "absent", failed.append)) == []
    assert [type(each) for each in failed] == [FileNotFoundError]


def test_a_models_folder_may_be_deeper_than_python_recurses(deep: Path, tmp_path: Path) -> None:
    assert sum(1 for _ in walked(deep)) == 1500
    settings = Settings(models_dir=deep, state_dir=tmp_path / "state", offline=True)
    manifest = Manifest.parse('{"m": {"files": {}}}', name="of nothing")
    assert sync(manifest, settings=settings).ok
    (deep / ".manifests.json").write_text(manifest.to_json())
    left = find_leftovers(unnamed=True, settings=settings, now=time.time() + 1e6)
    assert [(each.kind, each.path.name) for each in left] == [("unnamed", "x")]
    (deep / ".manifests.json").unlink()
    (deep / ".metrics.json").unlink(missing_ok=True)
