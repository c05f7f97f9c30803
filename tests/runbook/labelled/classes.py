"""Precision and recall of each class of commands, on those labelled in ``commands.jsonl``."""

from __future__ import annotations

import json
import time

import msgspec

from tests.benches.shares import Row, a_second
from tests.runbook.labelled.cases import HERE
from tocsin.core.policy import CommandClass
from tocsin.runbook.spoken import classify_text

# What may be run unasked must be so; a reader that is not known costs a question.
_BUDGETS = {CommandClass.READ_ONLY: "1.00, 0.97"}


class Labelled(msgspec.Struct, frozen=True):
    """A command, the class that a careful person gives it, and what makes it hard."""

    text: str
    kind: CommandClass
    note: str = ""


def labelled_commands() -> list[Labelled]:
    """Return the labelled set, in the order of its file."""
    lines = (HERE / "commands.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        Labelled(case["text"], CommandClass(case["class"]), case.get("note", ""))
        for case in map(json.loads, lines)
    ]


def commands(count: int = 1) -> list[Row]:
    """Return a row for each class, for the commands that would wrongly run, and for the rate.

    ``count`` says how often the set is read, which only the rate depends on.
    """
    cases = labelled_commands()
    began = time.perf_counter()
    for _ in range(count):
        found = [classify_text(case.text) for case in cases]
    took_s = time.perf_counter() - began
    pairs = [(case.kind, got.kind) for case, got in zip(cases, found, strict=True)]
    grave = (CommandClass.MUTATING, CommandClass.SENSITIVE_READ)
    wrong = sum(
        got.argv is not None and got.kind in (CommandClass.READ_ONLY, CommandClass.LONG_RUNNING)
        for case, got in zip(cases, found, strict=True)
        if case.kind in grave
    )
    graves = sum(kind in grave for kind, _ in pairs)
    return [
        *(_row(kind, pairs) for kind in CommandClass),
        (f"would run unasked, of {graves} that change or show secrets", "0", f"{wrong}"),
        ("commands classified", "", a_second(count * len(pairs), took_s)),
    ]


def _row(kind: CommandClass, pairs: list[tuple[CommandClass, CommandClass]]) -> Row:
    labelled = sum(wanted is kind for wanted, _ in pairs)
    said = sum(got is kind for _, got in pairs)
    both = sum(wanted is kind and got is kind for wanted, got in pairs)
    measured = f"precision {both / max(1, said):.3f}, recall {both / max(1, labelled):.3f}"
    return f"commands: {labelled} labelled {kind}", _BUDGETS.get(kind, ""), measured
