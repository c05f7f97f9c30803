"""Of what happened in a world, keep what it takes to break the promise: a story people can read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tocsin.sim.machinery import Machinery
from tocsin.sim.seeds import Played, replay

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.sim.setting import Setting


def shrink(
    played: Played,
    *,
    make: Callable[[Setting], Machinery] = Machinery,
    tries_max: int = 5_000,
) -> Played:
    """Return a world of fewer steps that breaks the same promise, found by leaving out.

    ``played`` broke one. Whole stretches are left out first, then single steps.
    """
    assert played.broken, "there is nothing to keep"
    promise, found, tries = _promise(played), played, 0
    size = len(played.steps) // 2
    while size:
        at = 0
        while at < len(found.steps) and tries < tries_max:
            tries += 1
            fewer = found.steps[:at] + found.steps[at + size :]
            again = replay(played.setting, fewer, make=make)
            if again.broken and _promise(again) == promise:
                # What came after it broke, and what brought the world to rest, is no part of it.
                known = set(fewer)
                kept = tuple(step for step in again.steps if step in known)
                found = msgspec.structs.replace(again, steps=kept)
            else:
                at += size
        size //= 2
    return found


def _promise(played: Played) -> str:
    return played.broken.partition(":")[0]
