"""What one running process is: what ``/metrics`` and ``tocsin doctor`` tell of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


class Beat(Protocol):
    """One loop as the watchdog sees it: ``last_at`` is None before its first beat."""

    @property
    def name(self) -> str:
        """Return what the loop is called."""
        ...

    @property
    def last_at(self) -> datetime | None:
        """Return when it last showed life."""
        ...

    @property
    def limit_s(self) -> float:
        """Return how long it may be silent."""
        ...

    @property
    def is_late(self) -> bool:
        """Say whether it has been silent for longer than that."""
        ...

    @property
    def detail(self) -> str:
        """Return what is wrong with it, where somebody said so, or ""."""
        ...

    @property
    def is_vital(self) -> bool:
        """Say whether alerts cannot be taken in and handled while it is late."""
        ...


class Disk(Protocol):
    """How much room there is, in bytes."""

    @property
    def total(self) -> int:
        """Return the size of the file system."""
        ...

    @property
    def free(self) -> int:
        """Return what of it an ordinary user may still fill."""
        ...


def say_late(beat: Beat) -> str:
    """Return what is wrong with a loop that is late, in a sentence."""
    if beat.detail:
        return f"{beat.name}: {beat.detail.rstrip('.')}."
    return f"{beat.name} has shown no life for more than {beat.limit_s:.0f} s."


@dataclass(frozen=True)
class About:
    """What a process was started as, and how to ask it how it is.

    ``data`` is None where nothing is kept on this machine; ``pool_size`` is the most connections
    that this process takes of the database, those of its loops included. ``retention`` says in
    words what is pruned and when, "" where nothing is.
    """

    role: str = "all"
    version: str = ""
    data: Path | None = None
    is_embedded: bool = False
    pool_size: int = 0
    has_heartbeat: bool = False
    watchdog_contacts: tuple[str, ...] = ()
    retention: str = ""
    beats: Callable[[], Sequence[Beat]] = tuple

    def disk(self) -> Disk | None:
        """Return how much room the data folder has; None where there is no folder to ask about."""
        if self.data is None:
            return None
        try:
            return shutil.disk_usage(self.data)
        except OSError:
            return None
