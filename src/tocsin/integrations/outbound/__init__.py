"""Translators for where messages go: pure, one file each, found by entry point."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tocsin.integrations.wire import Outbound

GROUP = "tocsin.outbound"


def load() -> dict[str, Outbound]:
    """Return every installed outbound integration by the kind of contact it serves.

    Empty when the package runs from a source tree that was never installed.
    """
    found: dict[str, Outbound] = {}
    for entry in entry_points(group=GROUP):
        integration: Outbound = entry.load()
        assert integration.kind == entry.name, f"{entry.value} serves {integration.kind}"
        assert entry.name not in found, f"two integrations serve {entry.name}"
        found[entry.name] = integration
    return found
