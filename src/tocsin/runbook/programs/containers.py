"""docker, podman, their compose, and crictl."""

from __future__ import annotations

import re

from tocsin.runbook.flags import Parsed, parse_flags
from tocsin.runbook.programs.pods import judge_inside
from tocsin.runbook.programs.verdicts import (
    TAIL_LINES,
    Argv,
    Inner,
    Trait,
    Verdict,
    follows,
    inside,
    mutates,
    needs_shell,
    never_ends,
    reads,
    shows_secrets,
    unknown_flag,
)
from tocsin.runbook.wordlists import words as words_of

_OUTER = words_of(
    "-H --host -c --context --config -l --log-level -f --file -p --project-name --env-file --profile --project-directory"
)
_VALUED = words_of("--tail -n --since --until -f --filter --format --last --index -o --output")
_LISTS = words_of(
    "-f --filter --format -a --all -q --quiet --no-trunc -n --last -l --latest -s --size --digests"
)
_READERS = {
    "ps": _LISTS | {"--services", "--status", "--orphans"},
    "images": _LISTS,
    "version": words_of("-f --format --short"),
    "info": words_of("-f --format"),
    "top": frozenset[str](),
    "port": words_of("--protocol --index"),
    "stats": words_of("-a --all --no-stream --no-trunc --format"),
    "logs": words_of(
        """-f --follow --tail -n --since --until -t --timestamps --details --no-color --no-log-prefix
        --index"""
    ),
    "history": words_of("--no-trunc -q --quiet --format -H --human"),
    "diff": frozenset[str](),
    "ls": _LISTS,
}
_SECOND_WORDS = {
    "system": {"df", "info"},
    "network": {"ls", "list", "inspect"},
    "volume": {"ls", "list", "inspect"},
    "container": {"ls", "list", "ps", "top", "port", "logs", "stats", "diff"},
    "image": {"ls", "list", "history"},
    "service": {"ls", "ps", "logs"},
    "node": {"ls", "ps", "inspect"},
    "stack": {"ls", "ps", "services"},
    "pod": {"ls", "list", "ps", "stats", "logs"},
    "context": {"ls", "show"},
    "plugin": {"ls"},
}
_GROUP_FLAGS = words_of("-f --filter --format -q --quiet --no-trunc -v --verbose -a --all")
_COMPOSE_OWN = words_of("-f --file -p --project-name --profile")
_PLAIN_FILE = re.compile(r"^[\w./-]+$")
_PS_COLUMNS = re.compile(r"^-?(?:aux|axu|ax|ef|eo|o|pid|comm)$")
# Parts of what is inspected that hold no environment.
_TEMPLATE = re.compile(r"\{\{\s*(?:json\s+)?([^{}]*?)\s*\}\}")
_PLAIN_PART = re.compile(
    r"^\.(?:State|RestartCount|Name|Id|Image|Created|NetworkSettings|Mounts|SizeRw|Driver|Platform"
    r"|HostConfig\.(?:RestartPolicy|Memory|NanoCpus|CpuShares|PortBindings|NetworkMode|LogConfig))\b[\w.]*$"
)


def judge(argv: Argv, inner: Inner) -> Verdict:
    """Judge ``docker``, ``podman``, ``docker-compose``."""
    is_compose = argv[0] in ("docker-compose", "podman-compose")
    outer = parse_flags(argv, _OUTER, stop_at_positional=True)
    if strange := outer.beyond(_COMPOSE_OWN if is_compose else frozenset()):
        return mutates(argv, f"{strange} chooses another engine or file")
    files = outer.named("-f", "--file")
    if not all(flag.value and _PLAIN_FILE.match(flag.value) for flag in files):
        return mutates(argv, "its file is not a plain one of this machine")
    if not outer.positionals:
        return mutates(argv, f"{argv[0]} without a verb")
    at, verb = outer.positionals[0]
    if verb == "compose" and not is_compose:
        found = inner(("docker-compose", *argv[at + 1 :]))
        ran = None if found.argv is None else found.argv[1:]
        return inside(
            argv,
            at,
            Verdict(found.kind, found.why.replace("docker-", f"{argv[0]} "), ran, found.traits),
            outside=argv[: at + 1],
        )
    if verb == "exec":
        return _exec(argv, at, inner)
    switches = frozenset(("-f",)) if verb == "logs" else frozenset[str]()
    rest = parse_flags(argv, _VALUED - switches, start=at + 1)
    return _verb(argv, verb, rest, is_compose=is_compose)


def _verb(argv: Argv, verb: str, rest: Parsed, *, is_compose: bool) -> Verdict:
    name = argv[0]
    if verb in _READERS:
        return _reads(argv, verb, rest)
    if verb in _SECOND_WORDS and not is_compose:
        return _group(argv, verb, rest)
    if verb == "inspect":
        return _inspect(argv, rest)
    if verb == "config" and is_compose:
        if strange := rest.beyond(words_of("-q --quiet --services --volumes --images --profiles")):
            return unknown_flag(argv, strange)
        if rest.flags:
            return reads(argv, f"{name} config only reads")
        return shows_secrets(argv, f"{name} config shows environment variables")
    if verb in ("events", "wait", "attach"):
        return never_ends(None, f"{name} {verb} runs until something ends it")
    return mutates(argv, f"{name} {verb} may change something")


def _group(argv: Argv, verb: str, rest: Parsed) -> Verdict:
    """Judge verbs of two words, as in ``docker container ls``."""
    sub = rest.words[0] if rest.words else ""
    if sub not in _SECOND_WORDS[verb]:
        return mutates(argv, f"{argv[0]} {verb} {sub}".rstrip() + " may change something")
    if sub in ("logs", "stats", "top"):
        at = rest.positionals[0][0]
        switches = frozenset(("-f",)) if sub == "logs" else frozenset[str]()
        return _reads(argv, sub, parse_flags(argv, _VALUED - switches, start=at + 1))
    if strange := rest.beyond(_GROUP_FLAGS):
        return unknown_flag(argv, strange)
    return reads(argv, f"{argv[0]} {verb} {sub} only reads")


def _reads(argv: Argv, verb: str, rest: Parsed) -> Verdict:
    why = f"{argv[0]} {verb} only reads"
    if strange := rest.beyond(_READERS[verb]):
        return unknown_flag(argv, strange)
    if verb == "top" and not all(map(_PS_COLUMNS.match, rest.words[1:])):
        return mutates(argv, "its columns may show environments")
    if verb == "logs" and (endless := rest.named("-f", "--follow")):
        tail = None if rest.named("--tail", "-n") else f"--tail={TAIL_LINES}"
        return follows(argv, endless, why, tail)
    if verb == "stats" and not rest.named("--no-stream"):
        said = f"{why}; it never ends, so it would run with --no-stream"
        at = next(i for i, word in enumerate(argv) if word == "stats")
        bounded = (*argv[: at + 1], "--no-stream", *argv[at + 1 :])
        return never_ends(bounded, said, ((Trait.NEVER_ENDS, at),))
    return reads(argv, why)


def _inspect(argv: Argv, rest: Parsed) -> Verdict:
    if strange := rest.beyond(words_of("-f --format -s --size --type")):
        return unknown_flag(argv, strange)
    formats = [flag.value or "" for flag in rest.named("-f", "--format")]
    parts = [part for text in formats for part in _TEMPLATE.findall(text)]
    braces = sum(text.count("{{") for text in formats)
    if parts and len(parts) == braces and all(map(_PLAIN_PART.match, parts)):
        return reads(argv, f"{argv[0]} inspect shows only what is named")
    return shows_secrets(argv, f"{argv[0]} inspect shows environment variables")


def _exec(argv: Argv, at: int, inner: Inner) -> Verdict:
    valued = words_of("-u --user -w --workdir -e --env --env-file --index --detach-keys")
    head = parse_flags(argv, valued, start=at + 1, stop_at_positional=True)
    known = words_of("-i -t -T --interactive --tty --no-TTY -u --user -w --workdir")
    if (strange := head.beyond(known)) or head.rest is not None:
        return unknown_flag(argv, strange or "--")
    if len(head.positionals) < 2:
        return needs_shell(f"{argv[0]} exec without a command opens a session")
    terminal = head.named("-i", "-t", "--interactive", "--tty")
    marks = tuple((Trait.TERMINAL, flag.at) for flag in terminal[:1])
    return judge_inside(
        argv, head.positionals[1][0], terminal, inner, "inside the container", marks
    )


_CRICTL = {
    "ps": words_of("-a --all --name --pod -q --quiet --state -l --latest -o --output --image"),
    "pods": words_of("--name -q --quiet --state -l --latest -o --output --namespace --label"),
    "images": words_of("-q --quiet -o --output -v --digests"),
    "logs": words_of("-f --follow --tail --since -t --timestamps -p --previous"),
    "stats": words_of("-a --all --id -o --output"),
    "version": frozenset[str](),
}


def judge_crictl(argv: Argv, _inner: Inner) -> Verdict:
    """Judge ``crictl``."""
    verb = argv[1] if len(argv) > 1 else ""
    if verb in ("inspect", "inspectp"):
        return shows_secrets(argv, f"crictl {verb} shows environment variables")
    if verb not in _CRICTL:
        return mutates(argv, f"crictl {verb} may change something")
    valued = words_of(
        "--name --pod --state --tail --since -o --output --namespace --label --id --image"
    )
    rest = parse_flags(argv, valued, start=2)
    if strange := rest.beyond(_CRICTL[verb]):
        return unknown_flag(argv, strange)
    if verb == "logs" and (endless := rest.named("-f", "--follow")):
        tail = None if rest.named("--tail") else f"--tail={TAIL_LINES}"
        return follows(argv, endless, "crictl logs only reads", tail)
    return reads(argv, f"crictl {verb} only reads")
