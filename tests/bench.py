"""``make bench``: what the documents claim, measured on this machine, printed as a table.

Nothing here passes or fails: the budget stands beside the figure. Each part measures one thing, on
servers and databases of its own, one part after the other.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.benches import (
    backtest,
    board,
    compiling,
    core,
    deliveries,
    reading,
    recovery,
    serving,
    streams,
    timers,
    watching,
)
from tests.benches.shares import Row

PARTS: dict[str, tuple[Callable[[Path, int], list[Row]], int]] = {
    "starts": (serving.starts, 5),
    "pages": (serving.pages, 100),
    "core": (core.rows, 2_000),
    "compiling": (compiling.rows, 1_000),
    "streams": (streams.rows, 50_000),
    "deliveries": (deliveries.rows, 20_000),
    "timers": (timers.rows, 100_000),
    "board": (board.rows, 10_000),
    "recovery": (recovery.rows, 1_000_000),
    "watching": (watching.rows, 1_000_000),
    "backtest": (backtest.rows, 500_000),
    "reading": (reading.rows, 3),
}
"""Each part, and how many of its things it takes."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, help="this part; repeatable")
    parser.add_argument("--share", type=float, default=1.0, help="of the usual amounts, e.g. 0.1")
    options = parser.parse_args()
    table = Table("what", "budget", "measured", title="Tocsin on this machine")
    folder = Path(tempfile.mkdtemp(prefix="tocsin-bench-"))
    folder.chmod(0o711)
    try:
        for name in options.only or PARTS:
            measure, count = PARTS[name]
            for row in measure(folder, max(1, int(count * options.share))):
                table.add_row(*row)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        Console(soft_wrap=True).print(table)


if __name__ == "__main__":
    main()
