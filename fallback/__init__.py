"""fallback: model files on this machine whatever the network does, every byte proven.

    from fallback import sync
    summary = sync()

`sync` makes a folder match a manifest, `fetch` gets one file, `check_files` hashes all again,
`manifest_from_dir` and `manifest_from_hub` make a manifest, `publish_models` has it pinned, `check_versions`
asks whether there is a newer one, `find_upgrade` and `apply_upgrade` get it, `find_leftovers` and
`delete_leftovers` free space, `create_bundle` and `install_bundle` carry models to machines without a network,
`warm_node` is what a fleet's node does. Names are loaded when they are first
used (PEP 562): importing this package, or `fallback.ipfs`, loads no HTTP library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fallback.author import manifest_from_dir, manifest_from_hub
    from fallback.bundles.installing import install_bundle
    from fallback.bundles.making import Bundle, create_bundle
    from fallback.checking import Checked, check_files
    from fallback.cleaning import delete_leftovers, find_leftovers
    from fallback.engine import fetch, load_manifest, sync
    from fallback.errors import (
        BundleError,
        BusyError,
        ConfigError,
        FallbackError,
        ManifestError,
        PublishError,
        SettingsError,
        StoppedError,
        StorageError,
        UnavailableError,
        UnknownModelError,
    )
    from fallback.events import Event, Observer, as_json, engine_progress
    from fallback.fleet.warming import warm_node
    from fallback.manifest import File, Manifest, Model
    from fallback.merge import add_to_manifest
    from fallback.publish.publishing import Publication, publish_models, write_car
    from fallback.results import FileFailure, FileResult, Summary
    from fallback.revalidate import check_versions, due_models, known_versions
    from fallback.settings import Settings
    from fallback.sweeping import Leftover
    from fallback.switch import finish_upgrades
    from fallback.upgrade import Upgrade, apply_upgrade, find_upgrade
    from fallback.version import Version

__all__ = [
    "Bundle",
    "BundleError",
    "BusyError",
    "Checked",
    "ConfigError",
    "Event",
    "FallbackError",
    "File",
    "FileFailure",
    "FileResult",
    "Leftover",
    "Manifest",
    "ManifestError",
    "Model",
    "Observer",
    "Publication",
    "PublishError",
    "Settings",
    "SettingsError",
    "StoppedError",
    "StorageError",
    "Summary",
    "UnavailableError",
    "UnknownModelError",
    "Upgrade",
    "Version",
    "add_to_manifest",
    "apply_upgrade",
    "as_json",
    "check_files",
    "check_versions",
    "create_bundle",
    "delete_leftovers",
    "due_models",
    "engine_progress",
    "fetch",
    "find_leftovers",
    "find_upgrade",
    "finish_upgrades",
    "install_bundle",
    "known_versions",
    "load_manifest",
    "manifest_from_dir",
    "manifest_from_hub",
    "publish_models",
    "sync",
    "warm_node",
    "write_car",
]

_HOMES = {
    **dict.fromkeys(["manifest_from_dir", "manifest_from_hub"], "author"),
    **dict.fromkeys(["FileFailure", "FileResult", "Summary"], "results"),
    **dict.fromkeys(["fetch", "load_manifest", "sync"], "engine"),
    **dict.fromkeys([name for name in __all__ if name.endswith("Error")], "errors"),
    **dict.fromkeys(["Event", "Observer", "as_json", "engine_progress"], "events"),
    **dict.fromkeys(["File", "Manifest", "Model"], "manifest"),
    "add_to_manifest": "merge",
    **dict.fromkeys(["Publication", "publish_models", "write_car"], "publish.publishing"),
    **dict.fromkeys(["Checked", "check_files"], "checking"),
    **dict.fromkeys(["check_versions", "due_models", "known_versions"], "revalidate"),
    **dict.fromkeys(["delete_leftovers", "find_leftovers"], "cleaning"),
    "Leftover": "sweeping",
    "Settings": "settings",
    "finish_upgrades": "switch",
    **dict.fromkeys(["Upgrade", "apply_upgrade", "find_upgrade"], "upgrade"),
    "Version": "version",
    **dict.fromkeys(["Bundle", "create_bundle"], "bundles.making"),
    "install_bundle": "bundles.installing",
    "warm_node": "fleet.warming",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOMES:
        raise AttributeError(f"module 'fallback' has no attribute {name!r}")
    value = getattr(import_module(f"fallback.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
