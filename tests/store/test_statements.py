from __future__ import annotations

import re
from importlib import resources

import pytest

from tocsin.store import migrate
from tocsin.store.statements import statements

FILES = sorted(
    file.name.removesuffix(".sql")
    for file in resources.files("tocsin.store").joinpath("queries").iterdir()
)


@pytest.mark.parametrize("room", FILES)
def test_every_statement_is_named_described_and_used(room: str) -> None:
    named = statements(room)
    module = "embedded/server.py" if room == "embedded" else f"{room}.py"
    code = resources.files("tocsin.store").joinpath(*module.split("/")).read_text("utf-8")
    unused = [name for name in named if not re.search(rf"[\"']{name}[\"']", code)]
    assert not unused
    assert all(named.values())


def test_migrations_count_from_one_without_holes() -> None:
    numbers = [step.number for step in migrate.migrations()]
    assert numbers == list(range(1, len(numbers) + 1))
