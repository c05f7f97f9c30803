"""What the checks may know besides the documents: people, settings, and the alerts that exist."""

from __future__ import annotations

import msgspec

from tocsin.core.surroundings import Directory, Tuning


class KnownAlert(msgspec.Struct, frozen=True):
    """One alerting rule. ``file`` and ``line`` say where it stands; ``labels`` are its own."""

    name: str
    file: str = ""
    line: int = 1
    runbook_url: str = ""
    labels: tuple[str, ...] = ()


class Known(msgspec.Struct, frozen=True):
    """What is known around a runbook.

    ``configured`` says that there are settings at all. ``alerts`` is None where nobody said which
    alerts exist; then nothing is said about documents that no alert reaches.
    """

    directory: Directory = Directory()
    tuning: Tuning = Tuning()
    configured: bool = False
    alerts: tuple[KnownAlert, ...] | None = None
