"""Group commit: who waits for whom, and who must not suffer for whom."""

from __future__ import annotations

import asyncio
import random

import pytest

from tocsin.engine.commits import GroupCommit
from tocsin.store.database import Unavailable

pytestmark = pytest.mark.anyio


class Ledger:
    """Commits when it is told to, and keeps what it was given."""

    def __init__(self, *, is_open: bool = True) -> None:
        self.batches: list[list[str]] = []
        self.attempts: list[list[str]] = []
        self.faults: list[BaseException] = []
        self.gate = asyncio.Event()
        if is_open:
            self.gate.set()

    async def commit(self, items: list[str]) -> None:
        self.attempts.append(items)
        await self.gate.wait()
        if self.faults:
            raise self.faults.pop(0)
        self.batches.append(items)

    async def attempted(self, times: int) -> None:
        async with asyncio.timeout(5):
            while len(self.attempts) < times:
                await asyncio.sleep(0)


def commits(ledger: Ledger, weight_max: int = 100) -> GroupCommit[str]:
    return GroupCommit(ledger.commit, len, weight_max)


async def test_who_comes_alone_waits_for_nobody() -> None:
    ledger = Ledger()
    line = commits(ledger)
    for item in ("one", "two"):
        await line.keep(item)
    assert ledger.batches == [["one"], ["two"]]


async def test_who_comes_while_another_commits_goes_with_the_next_batch_in_order() -> None:
    ledger = Ledger(is_open=False)
    line = commits(ledger)
    async with asyncio.TaskGroup() as group:
        for item in "abcd":
            group.create_task(line.keep(item))
        await ledger.attempted(1)
        ledger.gate.set()
    assert ledger.batches == [["a"], ["b", "c", "d"]]


async def test_a_batch_is_bounded_and_what_is_too_heavy_goes_alone() -> None:
    ledger = Ledger(is_open=False)
    line = commits(ledger, weight_max=4)
    async with asyncio.TaskGroup() as group:
        for item in ("a", "bb", "cc", "d", "too heavy", "e"):
            group.create_task(line.keep(item))
        await ledger.attempted(1)
        ledger.gate.set()
    assert ledger.batches == [["a"], ["bb", "cc"], ["d"], ["too heavy"], ["e"]]


async def test_a_database_that_is_away_is_said_at_once_to_all_who_wait() -> None:
    ledger = Ledger(is_open=False)
    ledger.faults = [Unavailable("It is away.")]
    line = commits(ledger)
    waiting = [asyncio.ensure_future(line.keep(item)) for item in "abc"]
    await ledger.attempted(1)
    ledger.gate.set()
    said = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(error) for error in said] == ["It is away."] * 3
    assert len({id(error) for error in said}) == 3
    assert ledger.attempts == [["a"]]
    await line.keep("later")
    assert ledger.batches == [["later"]]


async def test_a_defect_fails_its_own_batch_and_no_other() -> None:
    ledger = Ledger(is_open=False)
    ledger.faults = [ZeroDivisionError("a bug")]
    line = commits(ledger)
    waiting = [asyncio.ensure_future(line.keep(item)) for item in "abc"]
    await ledger.attempted(1)
    ledger.gate.set()
    said = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(said[0], ZeroDivisionError)
    assert said[1:] == [None, None]
    assert ledger.batches == [["b", "c"]]


async def test_who_is_cancelled_while_committing_does_not_cancel_the_others() -> None:
    ledger = Ledger(is_open=False)
    line = commits(ledger)
    first = asyncio.ensure_future(line.keep("a"))
    await ledger.attempted(1)
    others = [asyncio.ensure_future(line.keep(item)) for item in "bcd"]
    await asyncio.sleep(0)
    first.cancel()
    # The next of them commits, and is cancelled too, with its neighbours in the same batch.
    await ledger.attempted(2)
    assert ledger.attempts[1] == ["b", "c", "d"]
    others[0].cancel()
    await ledger.attempted(3)
    ledger.gate.set()
    said = await asyncio.gather(first, *others, return_exceptions=True)
    assert [type(error) for error in said[:2]] == [asyncio.CancelledError] * 2
    assert said[2:] == [None, None]
    assert ledger.batches == [["c", "d"]]


async def test_who_is_cancelled_while_waiting_is_left_out() -> None:
    ledger = Ledger(is_open=False)
    line = commits(ledger)
    waiting = [asyncio.ensure_future(line.keep(item)) for item in "abc"]
    await ledger.attempted(1)
    waiting[1].cancel()
    ledger.gate.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert ledger.batches == [["a"], ["c"]]


async def test_who_is_cancelled_just_as_its_turn_comes_hands_it_on() -> None:
    ledger = Ledger(is_open=False)
    line = commits(ledger)
    waiting = [asyncio.ensure_future(line.keep(item)) for item in "abc"]
    await ledger.attempted(1)
    ledger.gate.set()
    while not ledger.batches:
        await asyncio.sleep(0)
    # "b" was called to commit and has not run yet.
    waiting[1].cancel()
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting, return_exceptions=True)
    assert ledger.batches[0] == ["a"]
    assert "c" in ledger.batches[-1]
    await line.keep("later")


async def test_whatever_is_cancelled_and_fails_everybody_hears_and_nothing_is_lost() -> None:
    for seed in range(200):
        chance = random.Random(seed)  # noqa: S311 - a seed that can be tried again
        kept: set[int] = set()

        async def commit(items: list[int], chance=chance, kept=kept) -> None:
            await asyncio.sleep(0)
            if chance.random() < 0.2:
                raise Unavailable("away")
            if chance.random() < 0.5:
                await asyncio.sleep(0)
            kept.update(items)

        line: GroupCommit[int] = GroupCommit(commit, lambda _: 1, chance.randint(1, 5))
        waiting = []
        for number in range(30):
            waiting.append(asyncio.ensure_future(line.keep(number)))
            if chance.random() < 0.5:
                await asyncio.sleep(0)
            if chance.random() < 0.3:
                chance.choice(waiting).cancel()
        async with asyncio.timeout(5):
            said = await asyncio.gather(*waiting, return_exceptions=True)
        for number, error in enumerate(said):
            assert error is not None or number in kept, seed
        assert line._committing is None
