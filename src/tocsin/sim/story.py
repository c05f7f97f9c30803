"""A world as a document: the scenario that a test replays for ever, and the story that it tells.

A scenario is Markdown: what was promised and broken, the setting as JSON in a fence, and a line for
each step in another. The story is the same steps with what the timelines say under each.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from tocsin.core.events import AlertPlaced, DeskClosed, DeskOpened, RungsPlanned
from tocsin.core.narrate import tell
from tocsin.sim.machinery import Machinery
from tocsin.sim.promises import BrokenPromiseError, Promises
from tocsin.sim.setting import Setting
from tocsin.sim.steps import Step, read_step, say_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tocsin.core.events import Event
    from tocsin.sim.machinery import Commit

_FENCE = re.compile(r"^```(?P<kind>json|text)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


class Scenario(msgspec.Struct, frozen=True):
    """A world that broke a promise once. ``about`` says which, and why, in words."""

    about: str
    setting: Setting
    steps: tuple[Step, ...]


def write_scenario(scenario: Scenario) -> str:
    """Return a scenario as the document that ``read_scenario`` reads."""
    setting = msgspec.json.format(msgspec.json.encode(scenario.setting), indent=1).decode()
    steps = "\n".join(str(step) for step in scenario.steps)
    return (
        f"{scenario.about.strip()}\n\n"
        f"## Setting\n\n```json\n{setting}\n```\n\n"
        f"## What happens\n\n```text\n{steps}\n```\n"
    )


def read_scenario(text: str) -> Scenario:
    """Return the scenario in a document. Raises ValueError where it has no setting or no steps."""
    fences = {found["kind"]: found for found in _FENCE.finditer(text)}
    if fences.keys() != {"json", "text"}:
        raise ValueError("A scenario has its setting in a json fence and its steps in a text one.")
    about = text[: fences["json"].start()].removesuffix("## Setting\n\n").strip()
    setting = msgspec.json.decode(fences["json"]["body"], type=Setting)
    lines = fences["text"]["body"].splitlines()
    return Scenario(about, setting, tuple(read_step(line) for line in lines if line.strip()))


def tell_story(setting: Setting, steps: Iterable[Step]) -> Iterator[str]:
    """Yield each step of a world, and under it what its timelines say, until a promise is broken."""
    world = Machinery(setting)
    promises = Promises(world)
    said: list[str] = []

    def listen(commit: Commit) -> None:
        said.extend(_lines(commit))
        promises.watch(commit)

    world.watch = listen
    for step in steps:
        off = f"  (the database says {world.now:%H:%M:%S})" if world.off_s else ""
        yield f"{step}{off}"
        try:
            world.do(step)
        except BrokenPromiseError as error:
            said.append(f"BROKEN: {error}")
        yield from (f"{'':14}{line}" for line in said)
        if said and said[-1].startswith("BROKEN"):
            return
        said.clear()
    yield f"{say_time(world.elapsed_s)} the end"


def _lines(commit: Commit) -> Sequence[str]:
    return [f"{commit.stream}  {_say(event)}" for event, _ in commit.judged]


def _say(event: Event) -> str:
    match event:
        case AlertPlaced(signal=signal, incident=incident):
            state = "fires" if event.firing else "is over"
            muted = f", silenced by {event.muted_by}" if event.muted_by else ""
            stale = ", stale" if event.stale else ""
            return f"{signal.fingerprint} {state}: {incident or 'nowhere'}{muted}{stale}"
        case DeskOpened(incident=incident) | DeskClosed(incident=incident):
            return f"{type(event).__name__} {incident}"
        case RungsPlanned(rungs=rungs):
            return "ladder: " + ", ".join(f"{rung.name} {'/'.join(rung.roles)}" for rung in rungs)
    line = tell(event)
    return type(event).__name__ if line is None else line.text
