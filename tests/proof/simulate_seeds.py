"""Seeded worlds of a day each around the production core: no promise of any of them is broken.

A seed draws a runbook (or bends one), people, senders, channels and processes, and what can break:
processes die at any step, clocks go forward and back, channels are slow, refuse, or take a page and
say nothing, people acknowledge, resolve, reopen, silence, re-grade and hand over at random. What
must hold is judged at each commit and whenever a world is at rest (tocsin.sim.promises).

    make simulate-seeds                          10,000 worlds
    make simulate-seeds ARGS=--short             200 of them
    make simulate-seeds ARGS="--seed 42"         one world as a story, each step and what was told
    make simulate-seeds ARGS="--seed 42 --save"  the least of its steps that break the promise, kept
                                                 under tests/sim/scenarios, where a test replays it
"""

from __future__ import annotations

import collections
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console
from rich.progress import track

from tests.proof.figures import Figures, arguments
from tests.proof.places import ROOT, say
from tests.sim.policies import policies
from tocsin.sim.seeds import Played, play
from tocsin.sim.shrink import shrink
from tocsin.sim.story import Scenario, tell_story, write_scenario

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

SCENARIOS = ROOT / "tests" / "sim" / "scenarios"
SEEDS, SEEDS_SHORT = 10_000, 200
_AT_ONCE = 20


class Tally(msgspec.Struct):
    """What some worlds came to. ``broken`` holds the promise that broke, by seed."""

    worlds: int = 0
    steps: int = 0
    commits: int = 0
    incidents: int = 0
    messages: int = 0
    verbs: collections.Counter[str] = msgspec.field(default_factory=collections.Counter)
    broken: dict[int, str] = {}

    def add(self, other: Tally) -> None:
        """Add what other worlds came to."""
        self.worlds += other.worlds
        self.steps += other.steps
        self.commits += other.commits
        self.incidents += other.incidents
        self.messages += other.messages
        self.verbs += other.verbs
        self.broken |= other.broken


def main(argv: Sequence[str] | None = None) -> int:
    """Run the proof; return 0 when no promise was broken."""
    parser = arguments("simulate-seeds", __doc__)
    parser.set_defaults(seed=None)
    parser.add_argument("--seeds", type=int, help=f"how many worlds ({SEEDS}, short {SEEDS_SHORT})")
    parser.add_argument("--first", type=int, default=1, help="the first of their seeds (1)")
    parser.add_argument(
        "--save", action="store_true", help="keep the world of --seed as a scenario"
    )
    given = parser.parse_args(argv)
    if given.seed is not None:
        return _tell(given.seed, save=given.save)
    number = given.seeds or (SEEDS_SHORT if given.short else SEEDS)
    return _try_all(range(given.first, given.first + number), write=given.write)


def _try_all(seeds: range, *, write: bool) -> int:
    began = time.monotonic()
    tally = Tally()
    stretches = [seeds[at : at + _AT_ONCE] for at in range(0, len(seeds), _AT_ONCE)]
    cores = len(os.sched_getaffinity(0))
    with ProcessPoolExecutor(max_workers=cores) as pool:
        found = pool.map(_try, stretches)
        for some in track(found, "worlds", len(stretches), console=Console(stderr=True)):
            tally.add(some)
    for seed, broken in sorted(tally.broken.items())[:10]:
        say(f"seed {seed}: {broken}")
        say(f'  the story: make simulate-seeds ARGS="--seed {seed}"')
    took_s = time.monotonic() - began
    figures = Figures(
        "simulate-seeds",
        scale=f"{tally.worlds:,} worlds of 24 hours, a seed each, in {took_s / 60:.0f} min"
        f" on {cores} cores",
        seed=seeds.start,
    )
    figures.add("broken promises", len(tally.broken), 0, ok=not tally.broken)
    figures.add("worlds", tally.worlds, len(seeds), ok=tally.worlds == len(seeds))
    figures.add("things that happened in them", tally.steps)
    figures.add("turns committed", tally.commits)
    figures.add("incidents", tally.incidents)
    figures.add("messages", tally.messages)
    figures.add("processes killed", tally.verbs["killed"])
    figures.add("clock steps", tally.verbs["set-clock"])
    figures.add("acts of people", tally.verbs["act"] + tally.verbs["declare"])
    return figures.finish(write=write)


def _try(seeds: Iterable[int]) -> Tally:
    tally = Tally()
    for seed in seeds:
        played = play(seed, policies())
        tally.worlds += 1
        tally.steps += len(played.steps)
        tally.commits += played.commits
        tally.incidents += played.incidents
        tally.messages += played.messages
        for step in played.steps:
            tally.verbs[step.words[0]] += 1
            killed = step.words[0] == "crash" or step.words[-1] in ("before", "after", "dies")
            tally.verbs["killed"] += killed
        if played.broken:
            tally.broken[seed] = played.broken
    return tally


def _tell(seed: int, *, save: bool) -> int:
    played = play(seed, policies())
    if not save:
        for line in tell_story(played.setting, played.steps):
            say(line)
        say(f"BROKEN: {played.broken}" if played.broken else "Every promise held.")
        return 1 if played.broken else 0
    if not played.broken:
        say(f"Seed {seed} breaks no promise; there is nothing to keep.")
        return 2
    say(f"Kept in {_save(seed, shrink(played)).relative_to(ROOT)}.")
    return 1


def _save(seed: int, played: Played) -> Path:
    promise, _, where = played.broken.partition(": ")
    SCENARIOS.mkdir(exist_ok=True)
    path = SCENARIOS / f"seed-{seed}.md"
    about = f"# Seed {seed}\n\nBroken: {promise}. Found as: {where}."
    path.write_text(write_scenario(Scenario(about, played.setting, played.steps)), encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
