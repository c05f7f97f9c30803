"""Commands that run inside a pod or a container, and what they need of a terminal."""

from __future__ import annotations

import re

from tocsin.runbook.flags import Flag, Parsed, parse_flags
from tocsin.runbook.programs.verdicts import (
    Argv,
    Inner,
    Trait,
    Traits,
    Verdict,
    inside,
    needs_shell,
    unknown_flag,
)
from tocsin.runbook.wordlists import words as words_of

_VALUED = words_of("-c --container -n --namespace --pod-running-timeout")
_KNOWN = words_of("-c --container -n --namespace -i -t --stdin --tty -q --quiet")
_POD_VERBS = ("exec", "logs", "describe", "delete", "port-forward", "cp", "attach", "get")
STAND_IN = re.compile(
    r"^(?:my|your|example|some|sample|foo|bar)-|^(?:[a-z]+-)*(?:pod|pod-name|name)$|xxx|^pod-?\d?$",
    re.IGNORECASE,
)


def pod_marks(parsed: Parsed, verb: str) -> Traits:
    """Return a trait where the name of a pod looks like a stand-in for a real one."""
    if verb not in _POD_VERBS:
        return ()
    at_pod = 2 if verb in ("describe", "delete", "get") else 1
    for at, word in parsed.positionals[at_pod : at_pod + 1]:
        name = word.removeprefix("pod/").removeprefix("pods/")
        if STAND_IN.search(name):
            return ((Trait.STAND_IN, at),)
    return ()


def judge_exec(argv: Argv, traits: Traits, inner: Inner) -> Verdict:
    """Judge ``kubectl exec``: what runs inside decides. Without a command it is a session."""
    # Before ``--`` come kubectl's own words; the older spelling has the command right after the pod.
    outer = parse_flags(argv, _VALUED, short_equals=True)
    if outer.rest is not None:
        at = outer.rest
        head = parse_flags(argv[: at - 1], _VALUED, short_equals=True)
    else:
        at = _second_word(argv)
        head = parse_flags(argv[:at], _VALUED, short_equals=True)
    if strange := head.beyond(_KNOWN):
        return unknown_flag(argv, strange, traits)
    if outer.rest is not None and len(head.positionals) > 2:
        # Some versions take such a word for the beginning of the command.
        return unknown_flag(argv, head.words[2], traits)
    terminal = head.named("-i", "-t", "--stdin", "--tty")
    marks = (*traits, *((Trait.TERMINAL, flag.at) for flag in terminal[:1]))
    if at >= len(argv):
        return needs_shell(f"{argv[0]} exec without a command opens a session", traits)
    return judge_inside(argv, at, terminal, inner, "inside the pod", marks)


def judge_inside(
    argv: Argv, at: int, terminal: tuple[Flag, ...], inner: Inner, where: str, marks: Traits
) -> Verdict:
    """Judge what begins at ``at`` and runs elsewhere; the flags of a terminal are left out."""
    outside = _without_terminal(argv[:at], {flag.at for flag in terminal})
    found = inside(argv, at, inner(argv[at:]), where=where, outside=outside)
    # Inside a pod it is plain whose localhost is meant.
    kept = tuple(trait for trait in found.traits if trait[0] is not Trait.LOCALHOST)
    return Verdict(found.kind, found.why, found.argv, (*marks, *kept))


def _second_word(argv: Argv) -> int:
    early = parse_flags(argv, _VALUED, stop_at_positional=True, short_equals=True)
    later = parse_flags(
        argv,
        _VALUED,
        start=early.positionals[0][0] + 1,
        stop_at_positional=True,
        short_equals=True,
    )
    return later.positionals[1][0] if len(later.positionals) > 1 else len(argv)


def _without_terminal(words: Argv, dropped: set[int]) -> Argv:
    kept: list[str] = []
    for at, word in enumerate(words):
        if at not in dropped:
            kept.append(word)
        elif not word.startswith("--") and (rest := re.sub(r"^-[it]*", "", word)):
            # "-itc web" also names a container.
            kept.append(f"-{rest}")
    return tuple(kept)
