"""Seeded worlds: the same seed is the same world, and whatever is broken on purpose is found out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from tests.sim.policies import policies
from tocsin.core import events as ev
from tocsin.core.decision import Decision
from tocsin.core.effects import SendPage
from tocsin.core.evolve import evolve
from tocsin.core.incident import judge
from tocsin.core.inputs import AlertTold, ClockMoved, SeverityChosen, TimerFired
from tocsin.sim.machinery import Machinery
from tocsin.sim.seeds import Played, play, replay
from tocsin.sim.shrink import shrink
from tocsin.sim.story import Scenario, read_scenario, tell_story, write_scenario

SEEDS_MAX = 60


def test_the_same_seed_is_the_same_world():
    one, again = (play(7, policies(), lasts_s=20_000.0) for _ in range(2))
    assert one == again
    assert one.commits > 20
    assert play(8, policies(), lasts_s=20_000.0) != one


@pytest.mark.parametrize("seed", range(1, 9))
def test_a_world_keeps_every_promise(seed):
    assert play(seed, policies()).broken == ""


def test_its_steps_alone_make_the_same_world_again():
    played = play(3, policies(), lasts_s=20_000.0)
    again = replay(played.setting, played.steps)
    assert (again.broken, again.commits) == ("", played.commits)


def test_a_scenario_reads_as_it_was_written():
    played = play(3, policies(), lasts_s=5_000.0)
    scenario = Scenario("# Three\n\nIt went well.", played.setting, played.steps)
    assert read_scenario(write_scenario(scenario)) == scenario


def test_a_story_says_what_the_timelines_say():
    played = play(3, policies(), lasts_s=20_000.0)
    story = "\n".join(tell_story(played.setting, played.steps))
    assert "Opened by Prometheus" in story
    assert story.endswith("the end")


# -- Broken on purpose -----------------------------------------------------------------------------


class ForgetsTimers(Machinery):
    """A timer that fires is taken off, and its input is lost with the process."""

    def do_fire(self, number, stream, name, death=""):
        if (stream, name) in self.timers and name.startswith("rung/"):
            self.timers[stream, name] += timedelta(days=400)
        super().do_fire(number, stream, name, death)


class ForgetsInputs(Machinery):
    """What was accepted is not durable: every seventh input is lost."""

    def _append(self, stream, given, priority=None):
        super()._append(stream, given, priority)
        if self._ids % 7 == 0:
            self.inbox[stream] = [w for w in self.inbox[stream] if w.id != self._ids]


class CommitsByHalves(Machinery):
    """Events are committed, and the process dies before what they ask for is."""

    def _perform(self, stream, effects):
        effects = tuple(effects)
        super()._perform(stream, effects[: len(effects) // 2])


class ForgetsTheClock(Machinery):
    """Nobody is told that the clock went back."""

    def _move_clock(self, by_s):
        self.steps += 1


class TellsTheClockTwice(Machinery):
    """Every process tells of the same step back."""

    def _move_clock(self, by_s):
        super()._move_clock(by_s)
        super()._move_clock(by_s)


class LeasesForEver(Machinery):
    """Nobody takes over from a courier that died."""

    def free_deliveries(self):
        return [d for d in super().free_deliveries() if not self.deliveries[d].leased_until]


class CallsItDelivered(Machinery):
    """What was leased counts as sent."""

    def do_lease(self, number, id):  # noqa: A002 - as in the class
        super().do_lease(number, id)
        self.do_settle(number, id, "taken")


class BelievesItsMemory(Machinery):
    """An alert that another process saw end still counts as known."""

    def do_write(self, number):
        self._process(number).repeats = {}


class RaisesSilences(Machinery):
    """A silence that was ended mutes again when the clock goes back."""

    def _silences_in_force(self):
        return tuple(
            row.silence
            for row in self.silences.values()
            if row.silence.starts_at <= self.now < row.silence.ends_at
        )


def with_core(broken):
    """Return a world around a core of which one part is broken."""

    class Broken(Machinery):
        def __init__(self, setting):
            super().__init__(setting)
            self.judge = broken

    return Broken


def without(*kinds):
    """Return a core that forgets to judge such events, and knows no better."""

    def broken(policy, state, received, surroundings, at):
        decision, _ = judge(policy, state, received, surroundings, at)
        kept = tuple(e for e in decision.events if not isinstance(e, kinds))
        asked = {getattr(e, "delivery", None) for e in kept}
        effects = tuple(
            e for e in decision.effects if not hasattr(e, "delivery") or e.delivery in asked
        )
        for event in kept:
            state = evolve(state, event, at)
        return Decision(kept, effects, decision.refusal), state

    return broken


def ignores(*kinds):
    """Return a core that makes nothing of such inputs."""

    def broken(policy, state, received, surroundings, at):
        if isinstance(received, kinds) and state.opened_at is not None:
            return Decision(), state
        return judge(policy, state, received, surroundings, at)

    return broken


def one_key_for_all(policy, state, received, surroundings, at):
    decision, after = judge(policy, state, received, surroundings, at)
    effects = tuple(
        replace(e, delivery=f"{state.id}/d1") if isinstance(e, SendPage) else e
        for e in decision.effects
    )
    return Decision(decision.events, effects, decision.refusal), after


def pages_in_advance(policy, state, received, surroundings, at):
    """A core whose clock is five minutes ahead of the database's when a timer fires."""
    ahead = timedelta(minutes=5) if isinstance(received, SeverityChosen) else timedelta()
    decision, _ = judge(policy, state, received, surroundings, at + ahead)
    for event in decision.events:
        state = evolve(state, event, at)
    return decision, state


BROKEN_WORLDS = [
    ForgetsTimers,
    ForgetsInputs,
    CommitsByHalves,
    ForgetsTheClock,
    TellsTheClockTwice,
    LeasesForEver,
    CallsItDelivered,
    BelievesItsMemory,
    RaisesSilences,
]
BROKEN_CORES = {
    "no page is asked for": without(ev.PageAsked),
    "nobody is let go of": without(ev.RungsPlanned),
    "no reopening": without(ev.IncidentReopened),
    "no role changes hands": without(ev.PageHandedOver),
    "holds are never released": without(ev.RungsReleased),
    "the clock is not followed": ignores(ClockMoved),
    "timers are ignored": ignores(TimerFired),
    "alerts after the first are ignored": ignores(AlertTold),
    "one key for all": one_key_for_all,
    "pages in advance": pages_in_advance,
}


def found_out(make) -> Played:
    for seed in range(1, SEEDS_MAX + 1):
        played = play(seed, policies(), make=make)
        if played.broken:
            return played
    pytest.fail(f"{SEEDS_MAX} worlds were broken, and no promise was")


@pytest.mark.parametrize("make", BROKEN_WORLDS, ids=lambda make: make.__name__)
def test_a_broken_world_is_found_out(make):
    found_out(make)


@pytest.mark.parametrize("name", BROKEN_CORES)
def test_a_broken_core_is_found_out(name):
    found_out(with_core(BROKEN_CORES[name]))


def test_what_broke_is_found_again_with_a_few_steps():
    played = found_out(ForgetsTheClock)
    fewer = shrink(played, make=ForgetsTheClock, tries_max=300)
    assert fewer.broken.partition(":")[0] == played.broken.partition(":")[0]
    assert len(fewer.steps) < len(played.steps) / 4
    again = replay(fewer.setting, fewer.steps, make=ForgetsTheClock)
    assert again.broken == fewer.broken
    assert replay(fewer.setting, fewer.steps).broken == ""
