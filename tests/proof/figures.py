"""What a proof measured: printed as a table, and kept in docs/reliability.md with ``--write``."""

from __future__ import annotations

import argparse
import os
import random
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from tests.proof.places import ROOT

DOCUMENT = ROOT / "docs" / "reliability.md"


class Figure(msgspec.Struct, frozen=True):
    """One row: what was measured, what it may be, and whether it is."""

    name: str
    value: str
    budget: str
    ok: bool


class Figures:
    """The figures of one proof; ``scale`` says in one phrase how much was thrown at it."""

    def __init__(self, proof: str, *, scale: str = "", seed: int | str = "") -> None:
        self.proof = proof
        self.scale = scale
        self.seed = seed
        self.rows: list[Figure] = []

    @property
    def ok(self) -> bool:
        return all(row.ok for row in self.rows)

    def add(self, name: str, value: object, budget: object = "", ok: bool = True) -> None:
        """Add one figure; ``ok`` says whether it is within its budget."""
        self.rows.append(Figure(name, _shown(value), _shown(budget), ok))

    def finish(self, *, write: bool = False) -> int:
        """Print the table, keep it where told to, and return the exit status: 1 where one failed."""
        table = Table("what", "measured", "budget", title=f"make {self.proof}: {self.scale}")
        for row in self.rows:
            style = "" if row.ok else "bold red"
            table.add_row(row.name, row.value, row.budget, style=style)
        console = Console(soft_wrap=True)
        console.print(table)
        seed = "" if self.seed == "" else f" The seed was {self.seed}."
        console.print(f"{'Held.' if self.ok else 'BROKEN.'}{seed}", highlight=False)
        if write and self.ok:
            self.save()
        elif write:
            console.print(f"Not written to {DOCUMENT.name}: figures outside of their budget.")
        return 0 if self.ok else 1

    def save(self) -> None:
        """Rewrite the block of this proof between its markers in docs/reliability.md."""
        text = DOCUMENT.read_text(encoding="utf-8")
        begin, end = f"<!-- proof: {self.proof} -->", f"<!-- end: {self.proof} -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"{DOCUMENT} has no block between {begin} and {end}")
        block = f"{begin}\n{self.block()}\n{end}"
        fresh = DOCUMENT.with_suffix(".new")
        fresh.write_text(pattern.sub(lambda _: block, text), encoding="utf-8")
        fresh.replace(DOCUMENT)

    def block(self) -> str:
        """Return the table in Markdown, with the date, the machine, the scale and the seed."""
        day = datetime.now(UTC).date().isoformat()  # noqa: TID251 - the day of the measurement
        lines = [
            f"Measured on {day}, {machine()}; {self.scale}; seed {self.seed or 'none'}.",
            "",
            "| what | measured | budget |",
            "|---|---|---|",
        ]
        lines += [f"| {_cell(r.name)} | {_cell(r.value)} | {_cell(r.budget)} |" for r in self.rows]
        return "\n".join(lines)


def arguments(proof: str, about: str | None) -> argparse.ArgumentParser:
    """Return the parser with the options that every proof has."""
    parser = argparse.ArgumentParser(
        prog=f"make {proof}", description=about, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="the form of CI: about a minute")
    parser.add_argument("--write", action="store_true", help="keep the figures in the document")
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(1, 1_000_000), help="of chance"
    )
    return parser


def machine() -> str:
    """Return the size of this machine, in words."""
    kib = next(
        int(row.split()[1])
        for row in Path("/proc/meminfo").read_text().splitlines()
        if row.startswith("MemTotal")
    )
    cores = len(os.sched_getaffinity(0))
    return f"{cores} {'core' if cores == 1 else 'cores'}, {kib / 1_048_576:.0f} GB of memory"


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 100 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
