"""What a decision is: the events that are now so, and the effects asked for."""

from __future__ import annotations

import msgspec

from tocsin.core.effects import Effect
from tocsin.core.events import Event


class Decision(msgspec.Struct, frozen=True):
    """The outcome of one input. ``refusal`` is a sentence for the person whose act cannot be done."""

    events: tuple[Event, ...] = ()
    effects: tuple[Effect, ...] = ()
    refusal: str = ""


NOTHING = Decision()
