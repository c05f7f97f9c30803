"""Command-line words as flags and positionals, in the two spellings programs share."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Flag(msgspec.Struct, frozen=True):
    """One flag. ``at`` is its index in the words; ``at_value`` that of its value, if apart."""

    name: str
    value: str | None
    at: int
    at_value: int | None = None


class Parsed(msgspec.Struct, frozen=True):
    """Flags and positionals of one command. ``rest`` is the index after ``--``, or None.

    What follows ``--`` counts among the positionals, as it does for the programs themselves.
    """

    flags: tuple[Flag, ...]
    positionals: tuple[tuple[int, str], ...]
    rest: int | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """Return the positionals without their places."""
        return tuple(word for _, word in self.positionals)

    def named(self, *names: str) -> tuple[Flag, ...]:
        """Return the flags of these names, in order."""
        return tuple(flag for flag in self.flags if flag.name in names)

    def beyond(self, known: frozenset[str]) -> str:
        """Return the first flag that is not among the known ones, or nothing."""
        return next((flag.name for flag in self.flags if flag.name not in known), "")


def parse_flags(
    words: Sequence[str],
    valued: frozenset[str],
    *,
    start: int = 1,
    stop_at_positional: bool = False,
    short_equals: bool = False,
) -> Parsed:
    """Split words into flags and positionals.

    ``valued`` names the flags that take a value ("-n", "--namespace"). Short flags may be joined
    ("-it", "-nprod"). With ``stop_at_positional`` everything from the first positional on is one.
    With ``short_equals`` the value of "-n=prod" is "prod", as in programs written in Go; else it
    is "=prod", as everywhere.
    """
    flags: list[Flag] = []
    positionals: list[tuple[int, str]] = []
    at = start
    while at < len(words):
        word = words[at]
        if word == "--":
            positionals.extend((i, later) for i, later in enumerate(words[at + 1 :], start=at + 1))
            return Parsed(tuple(flags), tuple(positionals), at + 1)
        if word.startswith("--"):
            name, equals, value = word.partition("=")
            if equals:
                flags.append(Flag(name, value, at))
            elif name in valued and at + 1 < len(words):
                flags.append(Flag(name, words[at + 1], at, at + 1))
                at += 1
            else:
                flags.append(Flag(name, None, at))
        elif word.startswith("-") and len(word) > 1:
            at = _short(words, at, valued, flags, short_equals)
        else:
            positionals.append((at, word))
            if stop_at_positional:
                positionals.extend(
                    (i, later) for i, later in enumerate(words[at + 1 :], start=at + 1)
                )
                break
        at += 1
    return Parsed(tuple(flags), tuple(positionals))


def _short(
    words: Sequence[str], at: int, valued: frozenset[str], flags: list[Flag], short_equals: bool
) -> int:
    word = words[at]
    for i, letter in enumerate(word[1:], start=1):
        name = f"-{letter}"
        if name not in valued:
            flags.append(Flag(name, None, at))
            continue
        attached = word[i + 1 :]
        if attached:
            flags.append(Flag(name, attached.removeprefix("=") if short_equals else attached, at))
            return at
        if at + 1 < len(words):
            flags.append(Flag(name, words[at + 1], at, at + 1))
            return at + 1
        flags.append(Flag(name, None, at))
    return at
