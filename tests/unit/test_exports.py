"""The public API is this list, and importing it costs no HTTP library."""

from __future__ import annotations

import subprocess
import sys

import fallback

PUBLIC = [
    "Bundle", "BundleError", "BusyError", "Checked", "ConfigError", "Event", "FallbackError", "File", "FileFailure", "FileResult", "Leftover", "Manifest", "ManifestError",
    "Model", "Observer", "Publication", "PublishError", "Settings", "SettingsError", "StoppedError", "StorageError", "Summary",
    "UnavailableError", "UnknownModelError", "Upgrade", "Version", "add_to_manifest", "apply_upgrade", "as_json", "check_files", "check_versions",
    "create_bundle", "delete_leftovers", "due_models", "engine_progress", "fetch", "find_leftovers", "find_upgrade", "finish_upgrades", "install_bundle", "known_versions", "load_manifest",
    "manifest_from_dir", "manifest_from_hub", "publish_models", "sync", "warm_node", "write_car",
]  # fmt: skip


def test_all_is_the_promised_list() -> None:
    assert fallback.__all__ == PUBLIC


def test_every_name_loads_and_is_documented() -> None:
    for name in PUBLIC:
        assert getattr(fallback, name) is not None
        assert name in dir(fallback)


def test_no_module_has_a_public_functions_name() -> None:
    """`fallback.sync` is a function, before and after everything was imported."""
    subprocess.run(
        [
            sys.executable,
            "-c",
            "import fallback.cli.main, fallback; assert callable(fallback.sync), fallback.sync",
        ],
        check=True,
    )


def test_importing_the_package_loads_no_http_library() -> None:
    code = "import sys, fallback; print(*(m for m in ('requests', 'urllib3', 'rich', 'click', 'sqlite3') if m in sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == ""
