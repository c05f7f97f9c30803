"""Programs that run another one, and shells: what they carry decides, if it can be seen."""

from __future__ import annotations

import re

from tocsin.core.policy import CommandClass
from tocsin.runbook.flags import parse_flags
from tocsin.runbook.programs.verdicts import (
    Argv,
    Inner,
    Judge,
    Trait,
    Traits,
    Verdict,
    inside,
    mutates,
    needs_shell,
    never_ends,
    shows_secrets,
    unknown_flag,
)
from tocsin.runbook.wordlists import words as words_of

_VALUED = {
    "sudo": words_of("-u --user -g --group"),
    "timeout": words_of("-s --signal -k --kill-after"),
    "nice": words_of("-n --adjustment"),
}
_KNOWN = {
    "sudo": words_of("-u --user -n --non-interactive"),
    "timeout": words_of("-s --signal -k --kill-after"),
    "time": frozenset(("-p",)),
    "nice": words_of("-n --adjustment"),
}
SHELLS = words_of("bash sh zsh dash ksh fish")
# Words of the shell itself: there is no program of that name to run.
BUILTINS = words_of(
    "eval source exec . cd export set unset alias read wait test [ [[ if for while trap exit return"
)


def judge_carrier(argv: Argv, inner: Inner) -> Verdict:
    """Judge ``sudo``, ``timeout``, ``time``, ``nice``: they are what they run."""
    program = argv[0]
    parsed = parse_flags(argv, _VALUED.get(program, frozenset()), stop_at_positional=True)
    if strange := parsed.beyond(_KNOWN[program]):
        if program == "sudo" and strange in ("-i", "-s", "-l") and not parsed.positionals:
            return needs_shell("sudo opens a session")
        return unknown_flag(argv, strange)
    skip = 1 if program == "timeout" else 0
    if parsed.rest is not None or len(parsed.positionals) <= skip or "=" in parsed.words[skip]:
        return mutates(argv, f"{program} without a plain command")
    at = parsed.positionals[skip][0]
    return inside(argv, at, inner(argv[at:]))


def judge_watch(argv: Argv, inner: Inner) -> Verdict:
    """Judge ``watch``: its command, run once."""
    valued = frozenset(("-n", "--interval"))
    parsed = parse_flags(argv, valued, stop_at_positional=True)
    ends = ((Trait.NEVER_ENDS, 0),)
    if strange := parsed.beyond(valued | words_of("-d -t -x --differences --no-title --exec")):
        return unknown_flag(argv, strange)
    if not parsed.positionals:
        return never_ends(None, "watch runs until somebody ends it", ends)
    if len(parsed.positionals) == 1 and " " in parsed.words[0]:
        # Words without a sign of the shell are the same to it as to us.
        if re.search(r"[^\w./:=,@ -]", parsed.words[0]):
            return needs_shell("watch hands its words to a shell", ends)
        found = inner(tuple(parsed.words[0].split()))
        return _once(Verdict(found.kind, found.why, found.argv), ends)
    at = parsed.positionals[0][0]
    return _once(inside(argv, at, inner(argv[at:]), outside=()), ends)


def _once(found: Verdict, ends: Traits) -> Verdict:
    traits = (*ends, *found.traits)
    if found.kind is not CommandClass.READ_ONLY:
        return Verdict(found.kind, found.why, found.argv, traits)
    return never_ends(found.argv, f"{found.why}; watch never ends, so it would run once", traits)


def judge_env(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``env`` and ``printenv``: they show the environment, or change it for a program."""
    shown = argv[0] == "printenv" and not any(word.startswith("-") for word in argv[1:])
    if len(argv) == 1 or shown:
        return shows_secrets(argv, "it shows environment variables", ((Trait.SECRET, 0),))
    return mutates(argv, f"{argv[0]} sets variables and runs a program")


def judge_shell(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``bash`` and the like: a script that nobody has read may do anything."""
    parsed = parse_flags(argv, frozenset(("-c", "-o", "+o")), stop_at_positional=True)
    if parsed.named("-c") or not parsed.words:
        return needs_shell(f"{argv[0]} is a shell")
    return mutates(argv, f"{argv[0]} runs a script, which may do anything")


def judge_builtin(argv: Argv, _inner: Inner) -> Verdict:
    """Judge a word that only a shell knows."""
    return needs_shell(f"{argv[0]} is a word of the shell")


def judge_ssh(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``ssh``: another machine, whose shell is handed the words."""
    return mutates(argv, "ssh runs its words on another machine")


def judge_session(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``su``, ``screen``, ``tmux``."""
    if argv[0] == "su" and any(word.startswith(("-c", "--command")) for word in argv):
        return mutates(argv, "su runs a command as somebody else")
    return needs_shell(f"{argv[0]} opens a session")


JUDGES: dict[str, Judge] = {
    **dict.fromkeys(_KNOWN, judge_carrier),
    **dict.fromkeys(SHELLS, judge_shell),
    **dict.fromkeys(BUILTINS, judge_builtin),
    **dict.fromkeys(("su", "screen", "tmux"), judge_session),
    "watch": judge_watch,
    "env": judge_env,
    "printenv": judge_env,
    "ssh": judge_ssh,
}
