"""Publishing: local CIDs, and whoever is to serve what they name."""

from __future__ import annotations
