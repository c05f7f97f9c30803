"""What a table answers: a class, its reason, and the argv that would run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

import msgspec

from tocsin.core.policy import CommandClass
from tocsin.runbook.flags import Flag

TAIL_LINES = 200

Argv: TypeAlias = tuple[str, ...]
Traits: TypeAlias = tuple[tuple["Trait", int], ...]


class Trait(StrEnum):
    """Something about a word of a command that a reader of the runbook should know."""

    NEVER_ENDS = "never_ends"
    TERMINAL = "terminal"
    STAND_IN = "stand_in"
    LOCALHOST = "localhost"
    REPLICAS = "replicas"
    OWN_CLUSTER = "own_cluster"
    SECRET = "secret"  # noqa: S105 (a name, not a password)
    NO_NAMESPACE = "no_namespace"
    NAMESPACE = "namespace"
    UNKNOWN = "unknown"
    SCRIPT = "script"


class Verdict(msgspec.Struct, frozen=True):
    """A class, the reason in words, and the argv that would run (None: no argv could).

    ``traits`` point at words by their index in the argv that was asked about.
    """

    kind: CommandClass
    why: str
    argv: Argv | None
    traits: Traits = ()


# Judges the command inside another one: of ``sudo``, of ``kubectl exec``.
Inner: TypeAlias = Callable[[Argv], Verdict]
Judge: TypeAlias = Callable[[Argv, Inner], Verdict]


def reads(argv: Argv, why: str, traits: Traits = ()) -> Verdict:
    """Answer that running it changes nothing."""
    return Verdict(CommandClass.READ_ONLY, why, argv, traits)


def mutates(argv: Argv | None, why: str, traits: Traits = ()) -> Verdict:
    """Answer that running it may change something, or that nobody knows."""
    return Verdict(CommandClass.MUTATING, why, argv, traits)


def shows_secrets(argv: Argv, why: str, traits: Traits = ()) -> Verdict:
    """Answer that it reads what not everybody should see."""
    return Verdict(CommandClass.SENSITIVE_READ, why, argv, traits)


def never_ends(bounded: Argv | None, why: str, traits: Traits = ()) -> Verdict:
    """Answer that it runs until somebody ends it. ``bounded`` is a form that ends, if there is one."""
    return Verdict(CommandClass.LONG_RUNNING, why, bounded, traits)


def needs_shell(why: str, traits: Traits = ()) -> Verdict:
    """Answer that no argv does what is meant."""
    return Verdict(CommandClass.NEEDS_SHELL, why, None, traits)


def unknown_flag(argv: Argv, flag: str, traits: Traits = ()) -> Verdict:
    """Answer for a flag, or a word, that the table of the program does not name."""
    return mutates(argv, f"{argv[0]} {flag} is not known to be harmless", traits)


def inside(
    argv: Argv, at: int, verdict: Verdict, *, where: str = "", outside: Argv | None = None
) -> Verdict:
    """Return the verdict on an inner command, which begins at ``at``, as one on the whole.

    ``outside`` are the words before it that would run, if they are not those that are written.
    """
    why = f"{where}, {verdict.why}" if where else verdict.why
    traits = tuple((trait, i + at) for trait, i in verdict.traits)
    before = argv[:at] if outside is None else outside
    ran = None if verdict.argv is None else (*before, *verdict.argv)
    return Verdict(verdict.kind, why, ran, traits)


def follows(
    argv: Argv, endless: Sequence[Flag], why: str, instead: str | None, traits: Traits = ()
) -> Verdict:
    """Answer for a reader told to follow: without those flags, and with ``instead``, it ends."""
    bounded = without(argv, {flag.at: flag.name for flag in endless}, instead)
    how = f"with {instead}" if instead else "without it"
    said = f"{why}; {endless[0].name} never ends, so it would run {how}"
    return never_ends(bounded, said, (*traits, (Trait.NEVER_ENDS, endless[0].at)))


def without(argv: Argv, dropped: Mapping[int, str], instead: str | None = None) -> Argv:
    """Drop flags from an argv, one letter of joined ones; ``instead`` goes where the first stood."""
    words: list[str] = []
    placed = instead is None
    for at, word in enumerate(argv):
        if at not in dropped:
            words.append(word)
            continue
        if not placed and instead is not None:
            words.append(instead)
            placed = True
        if not word.startswith("--"):
            rest = word[1:].replace(dropped[at][1:], "", 1)
            if rest:
                words.append(f"-{rest}")
    return tuple(words)


_LOCAL = re.compile(
    r"^(?:\w+://)?(?:[^@/]*@)?(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]|0\.0\.0\.0)(?![\w.-])",
    re.IGNORECASE,
)


def localhost(argv: Sequence[str]) -> Traits:
    """Return a trait for each word that means the machine on which the command runs."""
    return tuple((Trait.LOCALHOST, at) for at, word in enumerate(argv) if at and _LOCAL.match(word))


# What stands for a value still to be filled in, as it is written in a word.
_HOLE = re.compile(
    r"\$(?:[A-Za-z_]\w*|\{\w+\})|<[A-Za-z][^<>]*>|\{\{[^{}]*\}\}|\{[A-Za-z][\w-]*\}|\[[A-Za-z][\w -]+\]"
)


def has_hole(word: str) -> bool:
    """Say whether a part of a word is still to be filled in, so that it may become anything."""
    return _HOLE.search(word) is not None


def first_index(words: Iterable[tuple[int, str]], wanted: re.Pattern[str]) -> int | None:
    """Return the place of the first word that matches, or None."""
    return next((at for at, word in words if wanted.search(word)), None)
