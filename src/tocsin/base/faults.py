"""Crash points: named places where a proof ends the whole process, as a power cut would.

What a crash leaves behind depends on where it falls, and the places that matter are a few
microseconds wide: no random kill meets them often. So the code says where they are. Outside of
such a proof nothing is armed and reaching one costs a comparison. ``docs/reliability.md`` tells
how to use them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = (
    "intake.before_commit",
    "intake.after_commit",
    "turn.claimed",
    "turn.decided",
    "turn.before_commit",
    "turn.after_commit",
    "timer.taken",
    "timer.after_commit",
    "courier.leased",
    "courier.sent",
    "courier.settled",
    "act.kept",
    "sweep.audited",
    "silence.kept",
)
"""Every crash point there is. A test reads the code: each is reached somewhere, and no other is."""

_hook: Callable[[str], None] | None = None


def reach(name: str) -> None:
    """Mark a crash point. Does nothing, unless armed."""
    if _hook is not None:
        _hook(name)


def arm(hook: Callable[[str], None] | None) -> None:
    """Call ``hook`` with the name of every crash point reached from now on; None disarms."""
    global _hook
    _hook = hook


def at(name: str, nth: int, crash: Callable[[], None]) -> Callable[[str], None]:
    """Return a hook that calls ``crash`` the ``nth`` time (from 1) that ``name`` is reached."""
    assert name in NAMES, f"there is no crash point {name!r}"
    left = nth

    def hook(reached: str) -> None:
        nonlocal left
        if reached == name:
            left -= 1
            if left == 0:
                crash()

    return hook
