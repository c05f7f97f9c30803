"""Chance: what happens next in a world, drawn from a seed. Each world has moods and ways to break.

A world in which everything breaks at once hides most defects behind the loudest one. So every seed
draws which faults it knows at all, and goes through quiet times, in which all work is done at once,
and rough ones, in which it is done late, in any order, in part, and by processes that die.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tocsin.core.effects import SendPage
from tocsin.core.phases import Phase
from tocsin.sim.machinery import RESEND_S
from tocsin.sim.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from tocsin.sim.machinery import Machinery, Process

_CLOCK_STEPS_S = (1.0, 2.5, 10.0, 60.0, 600.0, 3600.0, 43_200.0, 86_400.0)
_WORK_MAX = 3_000
_MOODS = ("quiet", "quiet", "rough")


class Faults(msgspec.Struct, frozen=True):
    """What can break in this world, and how often."""

    crashes: float
    clock_steps: float
    bad_channels: frozenset[str]
    channel_failure: float
    people: float
    gap_s: float


def draw_faults(rng: Random) -> Faults:
    """Return what breaks in one world."""
    kinds = [kind for kind in ("slack", "email", "webhook") if rng.random() < 0.3]
    return Faults(
        crashes=rng.choice((0.0, 0.02, 0.08)),
        clock_steps=rng.choice((0.0, 0.02, 0.08)),
        bad_channels=frozenset(kinds),
        channel_failure=rng.choice((0.0, 0.1, 0.4)),
        people=rng.choice((0.5, 1.0, 2.0)),
        gap_s=rng.choice((300.0, 600.0, 1500.0)),
    )


class Chance:
    """Draws the steps of one world. It looks at the world, and changes nothing in it."""

    def __init__(self, rng: Random, world: Machinery) -> None:
        """Draw what can break here."""
        self._rng = rng
        self._world = world
        self._faults = draw_faults(rng)
        self._mood = "quiet"
        self._silences = 0

    @property
    def is_quiet(self) -> bool:
        """Say whether all work is done at once."""
        return self._mood == "quiet"

    def steps(self, until_s: float) -> Iterator[Step]:
        """Yield what happens. Each step must have happened before the next is asked for."""
        for process in self._world.processes:
            yield self._step(0.0, "start", process.number)
        while self._world.elapsed_s < until_s:
            self._mood = self._rng.choice(_MOODS) if self._rng.random() < 0.05 else self._mood
            yield self._wait()
            yield from self._something()
            yield from self._work()

    # -- Time --------------------------------------------------------------------------------------

    def _wait(self) -> Step:
        """Let time pass until something is due, or until anything else happens."""
        world = self._world
        after_s = self._rng.expovariate(1 / self._faults.gap_s)
        if self.is_quiet:
            now = world.now
            due = [due_at for due_at in world.timers.values() if due_at > now]
            due += [
                row.due_at
                for row in world.deliveries.values()
                if row.state == "pending" and row.due_at > now
            ]
            if due:
                # Never at once: the row is due a moment before somebody looks at it.
                after_s = min(after_s, (min(due) - now).total_seconds() + 0.01)
        return self._step(max(after_s, 0.01), "sweep", self._anybody())

    def _step(self, after_s: float, *words: object) -> Step:
        return _now(self._world, *words, after_s=after_s)

    def _soon(self, *words: object) -> Step:
        """Return a step a moment from now."""
        return self._step(self._rng.choice((0.0, 0.02, 0.3)), *words)

    def _anybody(self) -> int:
        return self._rng.choice(self._world.processes).number

    def _somebody_up(self) -> Process | None:
        up = self._world.up()
        return self._rng.choice(up) if up else None

    # -- What happens outside ----------------------------------------------------------------------

    def _something(self) -> Iterator[Step]:
        rng, world = self._rng, self._world
        yield from self._senders()
        likely: list[tuple[float, Callable[[], Iterator[Step]]]] = [
            (1.0, self._begin),
            (0.7, self._cease),
            (self._faults.people, self._act),
            (0.15 * self._faults.people, self._declare),
            (0.2 * self._faults.people, self._silence),
            (0.05, self._hand_over),
        ]
        weights, kinds = zip(*likely, strict=True)
        yield from rng.choices(kinds, weights)[0]()
        if rng.random() < self._faults.clock_steps:
            yield from self._clock()
        if rng.random() < self._faults.crashes:
            yield from self._outage()
        for process in world.processes:
            if not process.up and rng.random() < (0.9 if self.is_quiet else 0.3):
                yield self._soon("start", process.number)

    def _senders(self) -> Iterator[Step]:
        """Let those who have something to say send it again."""
        for condition in self._world.conditions():
            fingerprint = condition.fingerprint
            if self._world.is_told(fingerprint) and self._rng.random() < min(
                1.0, 2 * self._faults.gap_s / RESEND_S
            ):
                yield from self._send(fingerprint)

    def _send(self, fingerprint: str) -> Iterator[Step]:
        outcome = "taken"
        if self._rng.random() < self._faults.crashes:
            outcome = self._rng.choice(("dies", "unheard"))
        yield self._soon("send", fingerprint, self._anybody(), outcome)

    def _begin(self) -> Iterator[Step]:
        rng, world = self._rng, self._world
        fingerprint = rng.choice(world.conditions()).fingerprint
        troubled = world.trouble.get(fingerprint)
        if troubled is None or troubled.ended_at is not None:
            yield self._soon("begin", fingerprint)
            yield from self._send(fingerprint)

    def _cease(self) -> Iterator[Step]:
        holding = [name for name, t in self._world.trouble.items() if t.ended_at is None]
        if holding:
            fingerprint = self._rng.choice(holding)
            yield self._soon("cease", fingerprint)
            yield from self._send(fingerprint)

    def _clock(self) -> Iterator[Step]:
        rng = self._rng
        by_s = rng.choice(_CLOCK_STEPS_S) * rng.choice((-1, 1))
        if self._world.off_s + by_s > 0 and rng.random() < 0.7:
            # A clock that is ahead is put right more often than it is put wrong further.
            by_s = -self._world.off_s
        yield self._soon("set-clock", f"{by_s:g}")
        if rng.random() < 0.3:
            # Work goes on in the half second before anybody looks at the clock.
            yield from self._work(most=5)

    def _outage(self) -> Iterator[Step]:
        rng, world = self._rng, self._world
        for process in world.processes:
            if rng.random() < 0.6:
                yield self._soon("crash", process.number)
        if rng.random() < 0.3:
            yield from self._clock()
        yield self._step(rng.choice((0.5, 5.0, 60.0, 1200.0, 7200.0)), "sweep", self._anybody())
        yield self._soon("start", self._anybody())

    # -- What people do ----------------------------------------------------------------------------

    def _act(self) -> Iterator[Step]:
        rng, world = self._rng, self._world
        if not world.incidents:
            return
        open_ones = [name for name, state in world.incidents.items() if state.is_open]
        incident = rng.choice(open_ones or sorted(world.incidents))
        if rng.random() < 0.15:
            incident = rng.choice(sorted(world.incidents))
        levels = [s.level for s in world.setting.policy.severities] or ["P1"]
        acts: list[tuple[float, tuple[str, ...]]] = [
            (3.0, ("acknowledge",)),
            (2.0, ("acknowledge", rng.choice(sorted(world.setting.directory.people)))),
            (2.0, ("resolve",)),
            (1.5, ("reopen",)),
            (1.5, ("grade", rng.choice(levels))),
            (1.0, ("phase", rng.choice(tuple(Phase)).value)),
            (0.2, ("breach",)),
            (0.3, ("note", "we are on it")),
        ]
        weights, kinds = zip(*acts, strict=True)
        yield self._soon("act", self._anybody(), incident, *rng.choices(kinds, weights)[0])

    def _declare(self) -> Iterator[Step]:
        rng, world = self._rng, self._world
        levels = [s.level for s in world.setting.policy.severities]
        severity = rng.choice([*levels, "", "P17"])
        service = rng.choice(world.conditions()).service
        breach = "breach" if rng.random() < 0.1 else ""
        yield self._soon("declare", self._anybody(), service, severity, breach)

    def _silence(self) -> Iterator[Step]:
        rng, world = self._rng, self._world
        if world.silences and rng.random() < 0.4:
            yield self._soon("unsilence", self._anybody(), rng.choice(sorted(world.silences)))
        else:
            self._silences += 1
            service = rng.choice(world.conditions()).service
            lasts_s = rng.choice((60, 1800, 7200))
            yield self._soon("silence", self._anybody(), f"s{self._silences}", service, lasts_s)
        yield self._soon("sweep", self._anybody())

    def _hand_over(self) -> Iterator[Step]:
        rng, world = self._rng, self._world
        roles = [role for rule in world.setting.policy.escalations for role in rule.to]
        if roles:
            people = sorted(world.setting.directory.people)
            yield self._soon("hand-over", rng.choice(roles), rng.choice(people))

    # -- What processes do -------------------------------------------------------------------------

    def _work(self, most: int = 400) -> Iterator[Step]:
        """Let processes do what there is to do: all of it in a quiet mood, some in a rough one."""
        rng = self._rng
        if not self.is_quiet:
            most = rng.randint(0, 12)
        for process in self._world.up():
            yield self._step(0.0, "write", process.number)
        for _ in range(most):
            process_up = self._somebody_up()
            todo = self._todo()
            if process_up is None or not todo:
                return
            yield from self._do(process_up.number, rng.choice(todo))

    def _todo(self) -> list[tuple[str, ...]]:
        world = self._world
        todo: list[tuple[str, ...]] = [("turn", stream) for stream in world.waiting()]
        todo += [("fire", stream, name) for stream, name in world.due_timers()]
        todo += [("lease", key) for key in world.free_deliveries()]
        todo += [("settle", str(number), key) for number, key in world.in_hand()]
        return todo

    def _do(self, number: int, work: tuple[str, ...]) -> Iterator[Step]:
        rng = self._rng
        dies = rng.random() < self._faults.crashes / 4
        death = rng.choice(("before", "after")) if dies else ""
        match work:
            case ("turn", stream):
                limit = rng.choice((1, 2, 5, 500))
                yield self._soon("turn", number, stream, limit, *([death] if death else []))
            case ("fire", stream, name):
                yield self._soon("fire", number, stream, name, *([death] if death else []))
            case ("lease", key):
                yield self._soon("lease", number, key)
                if dies:
                    yield self._soon("crash", number)
                elif rng.random() < 0.8:
                    yield from self._finish(number, key)
            case ("settle", holder, key):
                yield from self._finish(int(holder), key)

    def _finish(self, number: int, key: str) -> Iterator[Step]:
        rng = self._rng
        effect = self._world.deliveries[key].effect
        kind = effect.contact.kind if effect.contact else "app"
        if kind in self._faults.bad_channels or rng.random() < self._faults.channel_failure:
            outcome = rng.choice(("refused", "again", "again"))
            if rng.random() < 0.3 and isinstance(effect, SendPage):
                # It arrived, but nobody knows.
                yield self._soon("post", number, key)
        else:
            outcome = "taken"
            yield self._soon("post", number, key)
        if rng.random() < self._faults.crashes:
            yield self._soon("crash", number)
        elif not self.is_quiet and rng.random() < 0.1:
            # A slow channel: the lease runs out, and somebody else may take it meanwhile.
            yield self._step(rng.choice((5.0, 30.0)), "sweep", number)
        yield self._soon("settle", number, key, outcome)


def rest(world: Machinery) -> Iterator[Step]:
    """Yield what brings a world to rest, without chance: nothing breaks, and all work is done.

    Senders send twice: the first may meet a process that has just forgotten what it knew.
    """
    for process in world.processes:
        yield _now(world, "start", process.number)
        yield _now(world, "look", process.number, after_s=1.0)
    first = world.processes[0].number
    for _ in range(2):
        for condition in world.conditions():
            if world.is_told(condition.fingerprint):
                yield _now(world, "send", condition.fingerprint, first)
        for process in world.processes:
            yield _now(world, "write", process.number)
        yield _now(world, "sweep", first)
        yield from _all_work(world, first)


def _all_work(world: Machinery, number: int) -> Iterator[Step]:
    # A delivery that fails leads to the next contact, which may fail, and so on: bounded by what
    # there is to send, and by the tries of each. A world that does not come to rest breaks a promise.
    for _ in range(_WORK_MAX):
        if waiting := world.waiting():
            yield _now(world, "turn", number, waiting[0], 500, after_s=0.001)
        elif due := world.due_timers():
            yield _now(world, "fire", number, *due[0])
        elif held := world.in_hand():
            yield _now(world, "post", *held[0])
            yield _now(world, "settle", *held[0], "taken")
        elif free := world.free_deliveries():
            yield _now(world, "lease", number, free[0])
        else:
            return


def _now(world: Machinery, *words: object, after_s: float = 0.0) -> Step:
    return Step(round(world.elapsed_s + after_s, 3), tuple(str(word) for word in words))
