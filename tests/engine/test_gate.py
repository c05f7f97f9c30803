"""How many deliveries to a channel are in doubt: few, where few suffice."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tocsin.engine.gate import AT_ONCE_CROWDED, AT_ONCE_MAX, AT_ONCE_MIN, Gate

pytestmark = pytest.mark.anyio


async def in_doubt(gate: Gate, wanting: int, answer_s: float, wait_s: float) -> int:
    """Return how many are in doubt, of so many that want in, after a while."""
    gate.answered(answer_s)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(gate.enter()) for _ in range(wanting)]
        await asyncio.sleep(wait_s)
        number = gate.in_doubt
        for task in tasks:
            task.cancel()
    return number


@pytest.mark.parametrize(
    ("crowded", "answer_s", "expected"),
    [
        (False, 0.004, AT_ONCE_MIN),
        (False, 0.1, 15),
        (False, 2.0, AT_ONCE_MAX),
        (True, 0.004, AT_ONCE_CROWDED),
        (True, 2.0, AT_ONCE_MAX),
    ],
)
async def test_as_many_as_the_channel_needs(crowded: bool, answer_s: float, expected: int) -> None:
    assert await in_doubt(Gate(lambda: crowded), 100, answer_s, 0.001) == expected


async def test_one_that_never_answers_holds_nobody_up_for_long() -> None:
    assert await in_doubt(Gate(lambda: False), 100, 0.004, 0.5) == AT_ONCE_MAX


async def test_places_are_given_on_in_their_order_and_none_is_lost() -> None:
    gate = Gate(lambda: False)
    gate.answered(0.001)
    order: list[int] = []

    async def pass_through(number: int) -> None:
        await gate.enter()
        order.append(number)
        await asyncio.sleep(0.001)
        gate.answered(0.001)
        gate.leave()

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(pass_through(number)) for number in range(200)]
        await asyncio.sleep(0.01)
        for task in tasks[20:200:3]:
            task.cancel()
    assert gate.in_doubt == 0
    left = [n for n in range(200) if not tasks[n].cancelled()]
    assert sorted(order) == left
    with contextlib.suppress(IndexError):
        assert order[:10] == left[:10]
    async with asyncio.timeout(1):
        await gate.enter()
