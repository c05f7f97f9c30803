"""How well documents are read that nobody wrote for it: precision and recall on the labelled set."""

from __future__ import annotations

from pathlib import Path

from tests.benches.shares import Row
from tests.runbook.labelled.classes import commands
from tests.runbook.labelled.evaluate import KINDS, Score, score


def rows(folder: Path, count: int = 1) -> list[Row]:
    """Return precision and recall of each kind of rule, and of the classes of commands.

    ``count`` says how often all of it is read; the figures are the same each time but for the rate.
    """
    kinds = [_row(kind, score(kind)) for kind in KINDS]
    return [*kinds, *commands(count)]


def _row(kind: str, total: Score) -> Row:
    what = f"{kind}: {total.cases} labelled pieces, {total.near_misses} near-misses"
    measured = (
        f"precision {total.precision:.3f}, recall {total.recall:.3f}, {total.invented} invented"
    )
    return what, "1.00, 0.97, 0", measured
