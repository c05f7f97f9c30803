"""What is known to fire, so that the same alert sent again costs a look-up and no decision.

Prometheus re-sends every firing alert about once a minute. *Unchanged* is the same key and firing
state, and no later start: of two Prometheus servers that watch the same, each has its own start.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from tocsin.core.desk import REPORT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tocsin.core.inputs import Signal


class Repeats:
    """A bounded memory: of more than ``most`` alerts, those heard of longest ago are forgotten.

    What is forgotten is no repeat when it comes again; its desk then finds nothing new in it.
    """

    def __init__(self, most: int) -> None:
        """Begin with nothing known."""
        self._most = most
        self._known: OrderedDict[str, tuple[str, datetime]] = OrderedDict()

    def is_unchanged(self, signal: Signal, at: datetime) -> bool:
        """Say whether a signal that comes at ``at`` says only what is known already."""
        if signal.source == REPORT or not signal.is_firing(at):
            return False
        known = self._known.get(signal.fingerprint)
        return known is not None and known[0] == signal.key and signal.starts_at <= known[1]

    def remember(self, signal: Signal, at: datetime) -> None:
        """Note what a signal said that its desk is going to hear of."""
        if signal.source == REPORT or not signal.is_firing(at):
            self._known.pop(signal.fingerprint, None)
            return
        self._known[signal.fingerprint] = (signal.key, signal.starts_at)
        self._known.move_to_end(signal.fingerprint)
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def forget(self, fingerprints: Iterable[str]) -> None:
        """Let the next signal of these alerts be news."""
        for fingerprint in fingerprints:
            self._known.pop(fingerprint, None)

    def forget_all(self) -> None:
        """Let the next signal of every alert be news."""
        self._known.clear()
