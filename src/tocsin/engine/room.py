"""How much may wait to be judged, and how much of that may be whose.

The rule is one line: *nobody may have more waiting than there is still room for.* One sender alone
fills half of the inbox, two a third each, nine a tenth; and however many there are, as much stays
free as the greediest of them has. So a newcomer is always let in, and nobody had to be given a
quota beforehand.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class IntakeLimits:
    """How much may lie around: signals that wait to be judged, and what nobody could read."""

    waiting_max: int = 100_000
    quarantine_bytes_max: int = 256 * 1_048_576


class Full(Exception):  # noqa: N818 - it says how things are, and web answers 503 with it
    """There is no room for more of this sender's signals now: <how many wait, and who must>."""


class Room:
    """What waits, as the database last said, and what this process has let in since."""

    def __init__(self, waiting_max: int) -> None:
        self.waiting_max = waiting_max
        self._waiting: Counter[str] = Counter()
        self._total = 0
        self._since: Counter[str] = Counter()

    def begin_to_look(self) -> None:
        """Begin to count anew what is let in: from here on the database may not have seen it."""
        self._since.clear()

    def seen(self, waiting: Mapping[str, int]) -> None:
        """Take over what the database counted after ``begin_to_look``."""
        # What was let in while it counted may be counted twice, until the next look.
        self._waiting = Counter(waiting)
        self._waiting.update(self._since)
        self._total = self._waiting.total()

    def let_in(self, sender: str, signals: int) -> None:
        """Count signals that are now on their way into the inbox."""
        self._waiting[sender] += signals
        self._since[sender] += signals
        self._total += signals

    def check(self, sender: str, signals: int) -> None:
        """Raise Full where so many more of this sender's are too many.

        A sender that has nothing waiting is let in with whatever one request can hold.
        """
        waiting = self._waiting[sender]
        if waiting and waiting + signals > self.waiting_max - self._total:
            raise Full(
                f"{waiting:,} signals of {sender} wait to be judged, and {self._total:,} in all: "
                "there is no room for more of this sender's."
            )
