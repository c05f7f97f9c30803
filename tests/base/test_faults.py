from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tocsin.base import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(faults.__file__).parents[1]


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    faults.arm(None)


def test_reaching_a_point_does_nothing_unless_armed() -> None:
    faults.reach("turn.decided")


def test_the_crash_comes_at_the_nth_time_of_its_own_point_and_once() -> None:
    crashes: list[int] = []
    faults.arm(faults.at("turn.decided", 2, lambda: crashes.append(len(reached))))
    reached: list[str] = []
    for name in ("turn.decided", "turn.claimed", "turn.decided", "turn.decided"):
        reached.append(name)
        faults.reach(name)
    assert crashes == [3]


def test_the_code_reaches_every_point_that_is_listed_and_no_other() -> None:
    assert sorted(_reached()) == sorted(faults.NAMES)


def _reached() -> set[str]:
    """The names in all calls of faults.reach; each must be a plain text."""
    found = set()
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="faults"), attr="reach"), args=[argument]
                ):
                    assert isinstance(argument, ast.Constant), f"{file}:{node.lineno}"
                    found.add(argument.value)
    return found
