"""The ladder of a document while it is being read: the path's rungs, and the climbs.

The *path* names roles in order, each with the incidents it is for. The *criteria* say when to
climb, usually without saying to whom.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tocsin.core.policy import Clock, Condition
from tocsin.core.surroundings import role_key

EVERY = "every incident"
"""Stands for the level of every incident where the document declares none."""


class Rung(msgspec.Struct):
    """One role of the path. ``levels`` is None where the document does not filter.

    An item that names two roles is two rungs of one line. ``first`` marks those of the first item,
    ``in_chain`` those to which an arrow leads from another: without a time they are never reached.
    """

    role: str
    levels: tuple[str, ...] | None
    line: int
    first: bool = False
    condition: Condition | None = None
    in_chain: bool = False


class Climb(msgspec.Struct):
    """One criterion: for these levels, after this long on that clock, to these or to the path.

    ``untimed`` says that the words give no time, and that "at once" is the reading of them.
    """

    levels: tuple[str, ...] | None
    clock: Clock
    after_s: int
    line: int
    to: tuple[str, ...] = ()
    condition: Condition | None = None
    words: str = ""
    untimed: bool = False


class NotCarried(msgspec.Struct):
    """A criterion that no timer can carry: for which levels, and whom it would have reached."""

    levels: tuple[str, ...]
    line: int
    words: str
    to: tuple[str, ...] = ()


class Ladder(msgspec.Struct):
    """What was read so far, over all escalation sections of one document."""

    rungs: list[Rung] = []
    climbs: list[Climb] = []
    not_carried: list[NotCarried] = []


def first_of(ladder: Ladder) -> tuple[str, ...]:
    """Return the first responders, in the order of the path."""
    return distinct(rung.role for rung in ladder.rungs if rung.first)


def distinct(roles: Iterable[str]) -> tuple[str, ...]:
    """Return each role once, as it is first written."""
    by_key: dict[str, str] = {}
    for role in roles:
        by_key.setdefault(role_key(role), role)
    return tuple(by_key.values())


def known(to: tuple[str, ...], ladder: Ladder) -> tuple[str, ...]:
    """Write targets as the path writes them where both mean the same role."""
    by_key = {role_key(rung.role): rung.role for rung in ladder.rungs}
    return tuple(dict.fromkeys(by_key.get(role_key(role), role) for role in to))
