"""How well documents are read that nobody wrote for it: precision and recall on the labelled set."""

from __future__ import annotations

import json
import time
from pathlib import Path

from tests.benches.shares import Row, a_second
from tests.runbook.labelled.cases import HERE
from tests.runbook.labelled.evaluate import KINDS, Score, score
from tocsin.core.policy import CommandClass
from tocsin.runbook.spoken import classify_text


def rows(folder: Path, count: int = 1) -> list[Row]:
    """Return precision and recall of each kind of rule, and of the classes of commands.

    ``count`` says how often all of it is read; the figures are the same each time but for the rate.
    """
    kinds = [_row(kind, score(kind)) for kind in KINDS]
    return [*kinds, *_commands(count)]


def _row(kind: str, total: Score) -> Row:
    what = f"{kind}: {total.cases} labelled pieces, {total.near_misses} near-misses"
    measured = (
        f"precision {total.precision:.3f}, recall {total.recall:.3f}, {total.invented} invented"
    )
    return what, "1.00, 0.97, 0", measured


def _commands(count: int) -> list[Row]:
    text = (HERE / "commands.jsonl").read_text(encoding="utf-8")
    wanted = [
        (case["text"], CommandClass(case["class"])) for case in map(json.loads, text.splitlines())
    ]
    began = time.perf_counter()
    for _ in range(count):
        found = [classify_text(command).kind for command, _ in wanted]
    took_s = time.perf_counter() - began
    pairs = list(zip((kind for _, kind in wanted), found, strict=True))
    harmless = [(kind, got) for kind, got in pairs if got is CommandClass.READ_ONLY]
    right = sum(kind is got for kind, got in harmless)
    all_of_them = sum(kind is CommandClass.READ_ONLY for kind, _ in pairs)
    agreed = sum(kind is got for kind, got in pairs)
    return [
        (
            f"read-only among {len(pairs)} labelled commands",
            "1.00, 0.97",
            f"precision {right / len(harmless):.3f}, recall {right / all_of_them:.3f}",
        ),
        ("commands with the labelled class", "", f"{agreed} of {len(pairs)}"),
        ("commands classified", "", a_second(count * len(pairs), took_s)),
    ]
