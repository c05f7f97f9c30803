"""How fast the core alone decides, with nothing stored."""

from __future__ import annotations

import time
from pathlib import Path

from tests.benches.shares import Row, a_second
from tests.core.world import signal, world
from tocsin.core.inputs import ResolvedByPerson


def rows(folder: Path, count: int = 2_000) -> list[Row]:
    """Return how many incidents a second are opened, paged and resolved."""
    began = time.perf_counter()
    for _ in range(count):
        w = world()
        w.receive(signal(severity="P1"))
        w.act("INC-1", ResolvedByPerson("Ona"))
    took_s = time.perf_counter() - began
    return [("core: incidents opened, paged and resolved", "", a_second(count, took_s))]
