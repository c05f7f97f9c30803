"""A seed is a world: the same seed, the same world, step by step, wherever it is run."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import msgspec

from tocsin.sim.chance import Chance, rest
from tocsin.sim.machinery import Machinery
from tocsin.sim.promises import BrokenPromiseError, Promises
from tocsin.sim.setting import Setting, draw_setting
from tocsin.sim.steps import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tocsin.core.policy import Policy

DAY_S = 86_400.0
_RESTS = 0.03


class Played(msgspec.Struct, frozen=True):
    """What happened in a world, and the promise that was broken in it, or ""."""

    setting: Setting
    steps: tuple[Step, ...]
    broken: str
    commits: int = 0
    messages: int = 0
    incidents: int = 0


class _Play:
    """A world, the promises about it, and the steps so far."""

    def __init__(self, setting: Setting, make: Callable[[Setting], Machinery]) -> None:
        self.setting = setting
        self.world = make(setting)
        self.promises = Promises(self.world)
        self.steps: list[Step] = []
        self.broken = ""

    def do(self, step: Step) -> bool:
        self.steps.append(step)
        try:
            self.world.do(step)
        except BrokenPromiseError as error:
            self.broken = str(error)
        except Exception as error:  # noqa: BLE001 - a bug of the core is what this looks for
            self.broken = f"the core takes every input: {type(error).__name__}: {error}"
        return not self.broken

    def come_to_rest(self) -> None:
        for step in rest(self.world):
            if not self.do(step):
                return
        try:
            self.promises.check_at_rest()
            self.promises.check_deliveries()
        except BrokenPromiseError as error:
            self.broken = str(error)

    def played(self) -> Played:
        return Played(
            self.setting,
            tuple(self.steps),
            self.broken,
            self.world.commits,
            len(self.world.deliveries),
            len(self.world.incidents),
        )


def play(
    seed: int,
    policies: Sequence[Policy],
    *,
    lasts_s: float = DAY_S,
    make: Callable[[Setting], Machinery] = Machinery,
) -> Played:
    """Play the world of a seed until its end, or until a promise is broken.

    ``policies`` are those it may draw from; other policies make another world of the same seed.
    """
    rng = Random(seed)  # noqa: S311 - chance that can be had again
    game = _Play(draw_setting(rng, policies), make)
    chance = Chance(rng, game.world)
    for step in chance.steps(lasts_s):
        if not game.do(step):
            return game.played()
        if chance.is_quiet and rng.random() < _RESTS:
            game.come_to_rest()
            if game.broken:
                return game.played()
    game.come_to_rest()
    return game.played()


def replay(
    setting: Setting,
    steps: Iterable[Step],
    *,
    make: Callable[[Setting], Machinery] = Machinery,
) -> Played:
    """Let the same steps happen again, then come to rest. Without chance."""
    game = _Play(setting, make)
    for step in steps:
        if not game.do(step):
            return game.played()
    game.come_to_rest()
    return game.played()
