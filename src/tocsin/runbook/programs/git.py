"""git: verbs that read a history, with the flags that neither write files nor start helpers."""

from __future__ import annotations

import re

from tocsin.runbook.flags import parse_flags
from tocsin.runbook.programs.secrets import is_secret_file
from tocsin.runbook.programs.verdicts import (
    Argv,
    Inner,
    Trait,
    Verdict,
    first_index,
    mutates,
    reads,
    shows_secrets,
    unknown_flag,
)
from tocsin.runbook.wordlists import words as words_of

_VALUED = words_of("-n -S -G -L --since --until --after --before --author --grep --format --pretty")
_HISTORY = _VALUED | words_of("""-p --patch --oneline --stat --shortstat --numstat --summary --graph --all --decorate
    --no-decorate --name-only --name-status --follow --no-merges --merges --first-parent --reverse --abbrev-commit
    --abbrev --cached --staged -w --color --no-color --date --left-right -U --word-diff -i -E --max-count
    --branches --tags --remotes --cherry-pick --no-patch -s -q --quiet --topo-order --no-ext-diff --no-textconv
    --exit-code --diff-filter --minimal --ignore-space-change -b -M -C --relative --dirstat --check -1 -2 -3 -4 -5
    -6 -7 -8 -9 -0""")
_READERS = {
    **dict.fromkeys(("log", "diff", "show", "shortlog"), _HISTORY | {"-e"}),
    "whatchanged": _HISTORY,
    "status": words_of(
        "-s --short -b --branch --porcelain --long -u --untracked-files --ignored -v"
    ),
    "rev-parse": words_of("""--abbrev-ref --short --verify -q --show-toplevel --is-inside-work-tree --git-dir
        --symbolic-full-name"""),
    "rev-list": words_of("--count --all --max-count -n --since --until --no-merges --left-right"),
    "describe": words_of("--tags --always --dirty --abbrev --all --long --exact-match --match"),
    "blame": words_of("-L -w -e -s -l -M -C --date"),
    "ls-files": words_of("-m -o -d -s --modified --others --deleted --exclude-standard --cached"),
    "ls-tree": words_of("-r -t -d -l --name-only --long"),
    "merge-base": words_of("--is-ancestor --all"),
}
# Verbs that list when nothing but these words follows.
_LISTS = {
    "reflog": words_of("show --date -n"),
    "stash": frozenset(("list",)),
    "worktree": frozenset(("list",)),
    "submodule": frozenset(("status",)),
    "bisect": frozenset(("log",)),
    "remote": words_of("-v --verbose"),
    "branch": words_of("-a --all -r --remotes -v -vv --list --show-current --merged --no-merged"),
    "tag": words_of("-l --list"),
}
_NEEDS_A_WORD = words_of("stash worktree submodule bisect")


def judge(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``git``."""
    at = 2 if argv[1:2] in (("--no-pager",), ("-P",)) else 1
    if len(argv) <= at or argv[at].startswith("-"):
        return mutates(argv, "git with settings of its own may run anything")
    verb, rest = argv[at], argv[at + 1 :]
    if verb in _LISTS:
        return _lists(argv, verb, rest)
    if verb == "config":
        if rest[:1] in (("-l",), ("--list",), ("--get",)) and len(rest) <= 2:
            return shows_secrets(argv, "git config may show credentials")
        return mutates(argv, "git config may change settings")
    if verb not in _READERS:
        return mutates(argv, f"git {verb} may change something")
    parsed = parse_flags(argv, _VALUED, start=at + 1)
    if strange := parsed.beyond(_READERS[verb]):
        return unknown_flag(argv, strange)
    formats = [flag.value or "" for flag in parsed.named("--format", "--pretty")]
    if any(re.search(r"%G|%[<>(].*exec", text) for text in formats):
        return mutates(argv, "this format lets git run a program that checks signatures")
    secret = first_index(parsed.positionals, re.compile(r"[/:.]"))
    shows = verb in ("show", "diff", "blame") or parsed.named("-p", "--patch", "-L", "-S", "-G")
    if shows and secret is not None and any(map(is_secret_file, parsed.words)):
        return shows_secrets(argv, "it may show secrets", ((Trait.SECRET, secret),))
    return reads(argv, f"git {verb} only reads")


def _lists(argv: Argv, verb: str, rest: Argv) -> Verdict:
    known = _LISTS[verb]
    if not rest and verb not in _NEEDS_A_WORD:
        return reads(argv, f"git {verb} only lists")
    if (
        verb == "tag"
        and rest[:1] in (("-l",), ("--list",))
        and len(rest) == 2
        and rest[1][:1] != "-"
    ):
        return reads(argv, "git tag only lists")
    if rest and all(word.partition("=")[0] in known for word in rest):
        return reads(argv, f"git {verb} only lists")
    return mutates(argv, f"git {verb} may change something")
