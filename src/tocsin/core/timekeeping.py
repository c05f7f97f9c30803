"""Has a clock been set back? Compared with time that passed by a clock that nobody sets."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

# Leap seconds and clocks that NTP pulls straight change nothing: all is late by that much at most.
STEP_S_MIN = 2.0
# NTP slows a clock down by at most half a thousandth. Whatever is slower than this was set back.
_SLEW_MAX = 0.001


class Reading(msgspec.Struct, frozen=True):
    """What the clock shows (UTC), the latest it ever showed, and how many steps back it took.

    ``latest`` may be half a second old. Only steps that were dealt with are counted.
    """

    at: datetime
    latest: datetime
    steps: int


class Pace(msgspec.Struct, frozen=True):
    """How the clock runs beside ours, as one process last saw it.

    ``origin`` is what it shows when ours, that nobody sets, shows nothing at all. ``looked_at`` is
    by ours.
    """

    origin: datetime
    steps: int
    looked_at: float

    def at(self, elapsed: float) -> datetime:
        """Return what the clock shows then, if it runs on as it did."""
        return self.origin + timedelta(seconds=elapsed)

    def slowed(self, elapsed: float) -> Pace:
        """Return the pace of a clock that NTP has slowed down as much as it may since the look."""
        slack_s = _SLEW_MAX * (elapsed - self.looked_at)
        return msgspec.structs.replace(self, origin=self.origin - timedelta(seconds=slack_s))


def behind_s(pace: Pace | None, seen: Reading, elapsed: float) -> float:
    """Return by how much the clock was set back since, at least; 0 where it was not, or by too little.

    ``elapsed`` is our own clock before it was read. Without a pace, or where another process dealt
    with a step since, only the latest time it showed is known: how long nobody looked is not.
    """
    found_s = (seen.latest - seen.at).total_seconds()
    if pace is not None and pace.steps == seen.steps:
        expected = pace.slowed(elapsed).at(elapsed)
        found_s = max(found_s, (expected - seen.at).total_seconds())
    return found_s if found_s >= STEP_S_MIN else 0.0


def follow(pace: Pace | None, seen: Reading, elapsed: float) -> tuple[Pace, float]:
    """Return the pace from now on, and by how many seconds the clock went forward, mostly 0.

    ``elapsed`` is our own clock after it was read. Small steps back are not taken over at once but
    only as fast as NTP may pull: they add up until they are worth moving anything for.
    """
    origin = seen.at - timedelta(seconds=elapsed)
    forward_s = 0.0
    if pace is not None and pace.steps == seen.steps:
        ahead_s = (origin - pace.origin).total_seconds()
        forward_s = ahead_s if ahead_s >= STEP_S_MIN else 0.0
        origin = max(origin, pace.slowed(elapsed).origin)
    return Pace(origin, seen.steps, elapsed), forward_s


def after_step(seen: Reading, elapsed: float) -> Pace:
    """Return the pace once this process has dealt with the step that ``seen`` shows."""
    return Pace(seen.at - timedelta(seconds=elapsed), seen.steps + 1, elapsed)
