"""The composition root: what a start does while the world around it moves."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tocsin.app import CannotStart, Plan, _fingerprint, _first_words
from tocsin.cli.main import examples
from tocsin.config import Settings, Unreadable, read_runbook
from tocsin.core.surroundings import Directory
from tocsin.engine.book import Book
from tocsin.engine.system import SystemClock, SystemIds
from tocsin.runbook import compile_runbook
from tocsin.store import access
from tocsin.store.database import Unavailable

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.store.database import Database

pytestmark = pytest.mark.anyio


class FlightyBook(Book):
    """A book whose database goes away under it, so many times."""

    def __init__(self, failures: int) -> None:
        super().__init__(compile_runbook(read_runbook(examples())), Directory(), configured=False)
        self.failures = failures

    async def remember(self, database: Database, at: datetime) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("The database does not answer: it is starting up.")
        await super().remember(database, at)


def plan(data: Path, database_url: str) -> Plan:
    return Plan(Path("r.md"), Settings(), data, "127.0.0.1", 0, database_url)


async def test_a_database_that_goes_away_during_the_start_is_waited_for(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    book = FlightyBook(2)

    first = await _first_words(
        plan(tmp_path, database_url), database, book, SystemClock(), SystemIds()
    )

    assert book.failures == 0
    async with database.reading() as connection:
        holder = await access.holder(connection, first.tokens["ingest"])
    assert holder is not None
    assert holder.name == "ingest"


async def test_an_embedded_one_that_goes_away_is_said_to_have_gone(
    database: Database, tmp_path: Path
) -> None:
    with pytest.raises(CannotStart, match="went away while Tocsin started"):
        await _first_words(plan(tmp_path, ""), database, FlightyBook(1), SystemClock(), SystemIds())


def test_a_runbook_that_cannot_be_looked_at_is_one_that_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> bool:
        raise OSError(errno.EIO, "Input/output error")

    runbook = tmp_path / "runbook.md"
    runbook.write_text("# x\n")
    before = _fingerprint(runbook)
    monkeypatch.setattr(Path, "is_dir", broken)
    assert _fingerprint(runbook) != before
    with pytest.raises(Unreadable, match="cannot be read: Input/output error"):
        read_runbook(runbook)
