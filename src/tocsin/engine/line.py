"""Who is next: people's inputs first, then the senders in turn, whoever of them has most.

One sender with ten thousand desks gets as many turns as one with a single desk, so that a storm of
the one costs the other a turn's length and no more. What an incident is told counts for the sender
whose alert it was told of. The line is a memory of the inbox, where everything waits in any case:
what it does not hold is found by the next look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container

STREAMS_MAX = 20_000


class Next(NamedTuple):
    """A stream whose turn it is, and the sender on whose account; "" is people and ourselves."""

    stream: str
    sender: str


class Line:
    """The streams that have work, each of them once."""

    def __init__(self) -> None:
        """Begin empty."""
        self._urgent: dict[str, None] = {}
        # The sender whose turn is next comes first; so does the stream that waits longest.
        self._by_sender: dict[str, dict[str, None]] = {}
        self._sender_of: dict[str, str] = {}

    def __len__(self) -> int:
        """Return how many streams stand in line."""
        return len(self._urgent) + len(self._sender_of)

    def add(self, stream: str, sender: str = "", *, is_urgent: bool = False) -> None:
        """Put a stream at the end of its sender's line; one that stands there keeps its place."""
        if stream in self._urgent:
            return
        if is_urgent:
            self._leave(stream)
            self._urgent[stream] = None
        elif stream not in self._sender_of and len(self) < STREAMS_MAX:
            self._by_sender.setdefault(sender, {})[stream] = None
            self._sender_of[stream] = sender

    def take(self, busy: Container[str] = ()) -> Next | None:
        """Take the next stream out of the line; None if none is there that is not ``busy``."""
        for stream in self._urgent:
            if stream not in busy:
                del self._urgent[stream]
                return Next(stream, "")
        for sender, streams in self._by_sender.items():
            for stream in streams:
                if stream in busy:
                    continue
                self._leave(stream)
                if sender in self._by_sender:
                    self._by_sender[sender] = self._by_sender.pop(sender)
                return Next(stream, sender)
        return None

    def _leave(self, stream: str) -> None:
        sender = self._sender_of.pop(stream, None)
        if sender is not None:
            del self._by_sender[sender][stream]
            if not self._by_sender[sender]:
                del self._by_sender[sender]
