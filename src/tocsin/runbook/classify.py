"""What running a command may do, by one table per program. What no table knows is mutating.

A verdict is about the argv that would run, never about text: whoever quotes a command in another
way gets the same verdict.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import StrEnum

import msgspec

from tocsin.core.policy import CommandClass
from tocsin.runbook.flags import Parsed, parse_flags
from tocsin.runbook.sql import names_secrets, only_reads
from tocsin.runbook.wordlists import words as words_of

TAIL_LINES = 200
_DEPTH_MAX = 4
_READ = CommandClass.READ_ONLY
_MUTATE = CommandClass.MUTATING
_SENSITIVE = CommandClass.SENSITIVE_READ
_LONG = CommandClass.LONG_RUNNING
_SHELL = CommandClass.NEEDS_SHELL


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


class Verdict(msgspec.Struct, frozen=True):
    """A class, the reason in words, and the argv that would run (None: no argv could).

    ``traits`` point at words by their index in the argv that was asked about.
    """

    kind: CommandClass
    why: str
    argv: tuple[str, ...] | None
    traits: tuple[tuple[Trait, int], ...] = ()


def classify(argv: Sequence[str]) -> Verdict:
    """Judge an argv. Never raises; an empty one is not a command."""
    return _judge(tuple(argv), 0)


def is_known_program(word: str) -> bool:
    """Say whether a word is the name of a program of which the tables know something."""
    return word in _JUDGES or word in _HARMLESS or word in _OTHER_PROGRAMS


def _judge(argv: tuple[str, ...], depth: int) -> Verdict:
    if not argv or not argv[0].strip():
        return Verdict(CommandClass.NOT_A_COMMAND, "there is no command", None)
    if depth > _DEPTH_MAX:
        return Verdict(_MUTATE, "it is nested too deeply to be judged", argv)
    program = argv[0]
    judge = _JUDGES.get(program)
    if judge is not None:
        return judge(argv, depth)
    if program in _HARMLESS:
        return _harmless(argv)
    if program in _SHELLS:
        return Verdict(_SHELL, f"{program} is a shell", None)
    if program in _INTERACTIVE:
        return Verdict(_LONG, f"{program} runs until somebody ends it", None)
    if program in _OTHER_PROGRAMS:
        return Verdict(_MUTATE, f"{program} may change something", argv)
    return Verdict(
        _MUTATE, f"{program} is not known, so it may change something", argv, ((Trait.UNKNOWN, 0),)
    )


# --- kubectl -----------------------------------------------------------------------------------

_KUBECTL_VALUED = words_of("""-n --namespace -o --output -l --selector -c --container --field-selector --sort-by --tail
    --since --since-time -L --label-columns --chunk-size --limit-bytes --max-log-requests --for
    --types --api-version --api-group --verbs --revision --timeout --subresource
    --request-timeout -v --v --template --pod-running-timeout --kubeconfig --context --cluster
    --server -s --token --as --as-group --as-uid --user --replicas --grace-period -f --filename
    -p --patch --type --image --cache-dir --profile --profile-output --username --password
    --client-key --client-certificate --certificate-authority --tls-server-name -k
    --kustomize""")
_KUBECTL_READS_FLAGS = words_of("""-n --namespace -A --all-namespaces -o --output -l --selector --field-selector
    --show-labels --sort-by --no-headers -c --container --containers --tail --since --since-time
    -p --previous --timestamps --all-containers --prefix --limit-bytes --max-log-requests
    --ignore-not-found -L --label-columns --chunk-size --server-print --show-kind --show-events
    --for --types --recursive --api-version --api-group --namespaced --verbs --short --client
    --sum --use-protocol-buffers --revision --timeout --list -q --quiet --subresource
    --request-timeout --template --show-managed-fields --ignore-errors --insecure-skip-tls-verify
    --pod-running-timeout""") - {"--insecure-skip-tls-verify"}
_KUBECTL_OWN_CLUSTER = words_of("""--kubeconfig --context --cluster --server -s --token --as --as-group --as-uid --user
    --username --password --client-key --client-certificate --certificate-authority
    --tls-server-name --insecure-skip-tls-verify""")
_KUBECTL_READS = words_of(
    "get describe logs top events explain version api-resources api-versions cluster-info"
)
_KUBECTL_NAMESPACED = words_of(
    "get describe logs top events exec rollout scale delete edit patch set label annotate"
)
_CLUSTER_WIDE = words_of("""node nodes no namespace namespaces ns pv persistentvolume persistentvolumes clusterrole
    clusterroles clusterrolebinding clusterrolebindings storageclass storageclasses sc crd crds
    customresourcedefinitions componentstatuses cs""")
_SECRET_KIND = re.compile(r"^secrets?(?:$|[./])", re.IGNORECASE)
_STAND_IN = re.compile(
    r"^(?:my|your|example|some|sample|foo|bar)-|^(?:[a-z]+-)*(?:pod|pod-name|name)$|xxx|^pod-?\d?$",
    re.IGNORECASE,
)
_KUBECTL_SESSIONS = {
    **dict.fromkeys(("port-forward", "proxy", "attach"), (_LONG, "runs until somebody ends it")),
    **dict.fromkeys(("edit", "debug"), (_SHELL, "needs a terminal")),
}
_POD_VERBS = ("exec", "logs", "describe", "delete", "port-forward", "cp", "attach", "get")


def _kubectl(argv: tuple[str, ...], depth: int) -> Verdict:
    valued = _KUBECTL_VALUED
    first = parse_flags(argv, valued, stop_at_positional=True)
    if not first.positionals:
        if first.named(*_KUBECTL_OWN_CLUSTER):
            return _own_cluster(argv, first)
        return Verdict(_MUTATE, "kubectl without a verb", argv)
    verb = first.words[0]
    # These letters are switches to some verbs and take a value with others.
    if verb in ("logs", "get", "describe", "events", "top"):
        valued -= {"-p", "--profile"} | ({"-f"} if verb == "logs" else set())
    parsed = parse_flags(argv, valued)
    if parsed.named(*_KUBECTL_OWN_CLUSTER):
        return _own_cluster(argv, parsed)
    traits = _kubectl_traits(parsed, verb)
    if verb == "exec":
        return _kubectl_exec(argv, parsed, traits, depth)
    if verb in _KUBECTL_READS:
        return _kubectl_reads(argv, parsed, verb, traits)
    if (sub := _harmless_sub(parsed)) is not None:
        if strange := _strange(parsed, _KUBECTL_READS_FLAGS | {"-w", "--watch"}):
            return Verdict(_MUTATE, f"{strange} is not known to be harmless", argv, traits)
        return Verdict(_READ, f"kubectl {verb} {sub} only reads", argv, traits)
    if verb in _KUBECTL_SESSIONS:
        kind, why = _KUBECTL_SESSIONS[verb]
        return Verdict(kind, f"kubectl {verb} {why}", None, traits)
    return Verdict(_MUTATE, f"kubectl {verb} may change the cluster", argv, traits)


def _harmless_sub(parsed: Parsed) -> str | None:
    """Return the second verb where only it makes a command a reader: "rollout status"."""
    harmless = {
        "rollout": ("status", "history"),
        "auth": ("can-i", "whoami"),
        "config": ("current-context", "get-contexts"),
    }
    verb, sub = (*parsed.words, "", "")[:2]
    return sub if sub in harmless.get(verb, ()) else None


def _own_cluster(argv: tuple[str, ...], parsed: Parsed) -> Verdict:
    flag = parsed.named(*_KUBECTL_OWN_CLUSTER)[0]
    why = f"{flag.name} chooses another cluster or user than the one that is pinned"
    return Verdict(_MUTATE, why, None, ((Trait.OWN_CLUSTER, flag.at),))


def _kubectl_traits(parsed: Parsed, verb: str) -> tuple[tuple[Trait, int], ...]:
    traits: list[tuple[Trait, int]] = []
    kinds = {piece for word in parsed.words[1:2] for piece in word.casefold().split(",")}
    named = parsed.named("-n", "--namespace", "-A", "--all-namespaces")
    if named:
        traits.append((Trait.NAMESPACE, named[0].at))
    elif verb in _KUBECTL_NAMESPACED and not kinds & _CLUSTER_WIDE:
        traits.append((Trait.NO_NAMESPACE, 0))
    if verb in _POD_VERBS:
        at_pod = 2 if verb in ("describe", "delete", "get") else 1
        for at, word in parsed.positionals[at_pod : at_pod + 1]:
            name = word.removeprefix("pod/").removeprefix("pods/")
            if _STAND_IN.search(name):
                traits.append((Trait.STAND_IN, at))
    traits.extend((Trait.REPLICAS, flag.at) for flag in parsed.named("--replicas"))
    return tuple(traits)


def _kubectl_exec(
    argv: tuple[str, ...], parsed: Parsed, traits: tuple[tuple[Trait, int], ...], depth: int
) -> Verdict:
    valued = frozenset(("-c", "--container", "-n", "--namespace", "--pod-running-timeout"))
    # Before ``--`` come kubectl's own words; the older spelling has the command right after the pod.
    outer = parse_flags(argv, valued)
    if outer.rest is not None:
        inner_at = outer.rest
        head = parse_flags(argv[: outer.rest - 1], valued)
    else:
        early = parse_flags(argv, valued, stop_at_positional=True)
        later = parse_flags(
            argv, valued, start=early.positionals[0][0] + 1, stop_at_positional=True
        )
        inner_at = later.positionals[1][0] if len(later.positionals) > 1 else len(argv)
        head = parse_flags(argv[:inner_at], valued)
    known = words_of("-c --container -n --namespace -i -t --stdin --tty -q --quiet")
    if strange := _strange(head, known):
        return Verdict(_MUTATE, f"{strange} is not known to be harmless", argv, traits)
    terminal = head.named("-i", "-t", "--stdin", "--tty")
    marks = tuple((Trait.TERMINAL, flag.at) for flag in terminal[:1])
    if inner_at >= len(argv):
        return Verdict(_SHELL, "kubectl exec without a command opens a session", None, traits)
    inner = _judge(argv[inner_at:], depth + 1)
    # Inside a pod it is plain whose localhost is meant.
    moved = tuple((t, at + inner_at) for t, at in inner.traits if t is not Trait.LOCALHOST)
    if inner.argv is None:
        return Verdict(inner.kind, f"inside the pod, {inner.why}", None, (*traits, *marks, *moved))
    dropped = {flag.at for flag in terminal}
    outside = _without_terminal(argv[:inner_at], dropped)
    why = f"inside the pod, {inner.why}"
    return Verdict(inner.kind, why, (*outside, *inner.argv), (*traits, *marks, *moved))


def _without_terminal(words: tuple[str, ...], dropped: set[int]) -> tuple[str, ...]:
    kept: list[str] = []
    for at, word in enumerate(words):
        if at not in dropped:
            kept.append(word)
        elif not word.startswith("--") and (rest := re.sub(r"^-[it]*", "", word)):
            # "-itc web" also names a container.
            kept.append(f"-{rest}")
    return tuple(kept)


def _kubectl_reads(
    argv: tuple[str, ...], parsed: Parsed, verb: str, traits: tuple[tuple[Trait, int], ...]
) -> Verdict:
    endless = parsed.named("-f", "--follow") if verb == "logs" else ()
    endless += parsed.named("-w", "--watch", "--watch-only")
    endless = tuple(flag for flag in endless if flag.value != "false")
    allowed = _KUBECTL_READS_FLAGS | {"-w", "--watch", "--watch-only"}
    if verb == "logs":
        allowed |= {"-f", "--follow"}
    if strange := _strange(parsed, allowed):
        return Verdict(_MUTATE, f"{strange} is not known to be harmless", argv, traits)
    if any("file=" in (flag.value or "") for flag in parsed.named("-o", "--output")):
        return Verdict(_MUTATE, "it reads a file of this machine", argv, traits)
    kinds = [piece for word in parsed.words[1:] for piece in word.split(",")]
    if verb in ("get", "describe") and any(_SECRET_KIND.match(kind) for kind in kinds):
        at = next((i for i, w in parsed.positionals[1:] if "secret" in w.casefold()), 0)
        return Verdict(_SENSITIVE, "it reads secrets", argv, (*traits, (Trait.SECRET, at)))
    if verb == "cluster-info" and len(parsed.words) > 1:
        return Verdict(_MUTATE, "kubectl cluster-info dump writes files", argv, traits)
    why = f"kubectl {verb} only reads"
    if not endless:
        return Verdict(_READ, why, argv, traits)
    marks = tuple((Trait.NEVER_ENDS, flag.at) for flag in endless[:1])
    tail = f"--tail={TAIL_LINES}" if verb == "logs" and not parsed.named("--tail") else None
    bounded = _bounded(argv, {flag.at: flag.name for flag in endless}, tail)
    said = f"; {endless[0].name} never ends, so it would run " + (
        f"with {tail}" if tail else "once"
    )
    return Verdict(_READ, why + said, bounded, (*traits, *marks))


def _bounded(
    argv: tuple[str, ...], endless: dict[int, str], instead: str | None
) -> tuple[str, ...]:
    """Drop flags that never end, and put ``instead`` where the first of them stood."""
    words: list[str] = []
    placed = instead is None
    for at, word in enumerate(argv):
        if at not in endless:
            words.append(word)
            continue
        if not placed and instead is not None:
            words.append(instead)
            placed = True
        if not word.startswith("--"):
            rest = word[1:].replace(endless[at][1:], "", 1)
            if rest:
                words.append(f"-{rest}")
    return tuple(words)


def _strange(parsed: Parsed, known: frozenset[str]) -> str:
    return next((flag.name for flag in parsed.flags if flag.name not in known), "")


# --- databases ---------------------------------------------------------------------------------

_PSQL_VALUED = words_of("""-U --username -h --host -p --port -d --dbname -c --command -P --pset -F --field-separator
    -R --record-separator -v --set --variable -f --file -o --output -L --log-file -T
    --table-attr""")
_PSQL_KNOWN = words_of("""-U --username -h --host -p --port -d --dbname -c --command -t --tuples-only -A --no-align
    -x --expanded -q --quiet -X --no-psqlrc -w --no-password -F --field-separator --csv""")


def _psql(argv: tuple[str, ...], _depth: int) -> Verdict:
    parsed = parse_flags(argv, _PSQL_VALUED)
    if strange := _strange(parsed, _PSQL_KNOWN):
        return Verdict(_MUTATE, f"psql {strange} is not known to be harmless", argv)
    commands = parsed.named("-c", "--command")
    if not commands:
        return Verdict(_SHELL, "psql without -c opens a session", None)
    marks = _localhost(argv)
    for flag in commands:
        reads, why = only_reads(flag.value or "")
        if not reads:
            return Verdict(_MUTATE, f"psql: {why}", argv, marks)
        if secret := names_secrets(flag.value or ""):
            return Verdict(_SENSITIVE, f"psql: {secret} may show secrets", argv, marks)
    return Verdict(
        _READ,
        "psql runs one SELECT that changes nothing"
        if len(commands) == 1
        else "psql runs SELECTs that change nothing",
        argv,
        marks,
    )


_REDIS_VALUED = words_of("-h -p -n -a -u -s --user --pass -t")
_REDIS_KNOWN = _REDIS_VALUED | frozenset(("--tls", "--no-auth-warning", "--raw", "--no-raw"))
_REDIS_READS = words_of("""ping info dbsize ttl pttl type exists llen scard zcard hlen strlen role lastsave time
    xlen""")
_REDIS_SUB_READS = {
    "memory": {"usage", "stats", "doctor"},
    "slowlog": {"get", "len"},
    "client": {"list", "info", "id"},
    "config": {"get"},
    "latency": {"latest", "history", "doctor"},
    "cluster": {"info", "nodes", "slots"},
    "command": {"count"},
    "object": {"encoding", "idletime", "refcount"},
}
_REDIS_SECRET = re.compile(r"[*?\[]|pass|auth|user|key-file", re.IGNORECASE)
_REDIS_VALUES = words_of("get mget hget hgetall lrange smembers zrange getrange")


def _redis(argv: tuple[str, ...], _depth: int) -> Verdict:
    parsed = parse_flags(argv, _REDIS_VALUED, stop_at_positional=True)
    if parsed.named("--latency", "--stat", "--latency-history", "--bigkeys"):
        return Verdict(_LONG, "this redis-cli mode samples until somebody ends it", None)
    if strange := _strange(parsed, _REDIS_KNOWN):
        return Verdict(_MUTATE, f"redis-cli {strange} is not known to be harmless", argv)
    if not parsed.words:
        return Verdict(_SHELL, "redis-cli without a command opens a session", None)
    verb = parsed.words[0].casefold()
    sub = parsed.words[1].casefold() if len(parsed.words) > 1 else ""
    if (verb, sub) == ("config", "get") and any(map(_REDIS_SECRET.search, parsed.words[2:])):
        return Verdict(_SENSITIVE, "redis-cli config may show a password", argv)
    if verb in _REDIS_READS or sub in _REDIS_SUB_READS.get(verb, set()):
        return Verdict(_READ, f"redis-cli {verb} only reads", argv)
    if verb in ("monitor", "subscribe", "psubscribe"):
        return Verdict(_LONG, f"redis-cli {verb} runs until somebody ends it", None)
    if verb in _REDIS_VALUES:
        return Verdict(_SENSITIVE, f"redis-cli {verb} shows stored values", argv)
    if verb == "keys":
        return Verdict(_MUTATE, "redis-cli keys blocks the server while it runs", argv)
    return Verdict(_MUTATE, f"redis-cli {verb} may change data", argv)


# --- the web -----------------------------------------------------------------------------------

_CURL_VALUED = words_of("""-X --request -H --header -d --data --data-raw --data-binary --data-urlencode --json -F --form
    -T --upload-file -o --output -K --config -m --max-time --connect-timeout -w --write-out -u
    --user -A --user-agent -e --referer -b --cookie -c --cookie-jar -x --proxy --retry
    --resolve --connect-to -E --cert --key --cacert --url --unix-socket -r --range -C -D
    --dump-header -Q --quote -t -y -Y -z -P""")
_CURL_KNOWN = words_of("""-s --silent -S --show-error -f --fail -v --verbose -i --include -I --head -k --insecure -H
    --header -m --max-time --connect-timeout -w --write-out -X --request -A --user-agent -o
    --output --compressed --http1.1 --http2 -4 -6 --url --fail-with-body""")
_LOCAL = re.compile(
    r"^(?:\w+://)?(?:[^@/]*@)?(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]|0\.0\.0\.0)(?![\w.-])",
    re.IGNORECASE,
)
_HTTP_URL = re.compile(
    r"^(?:https?://)?[\w.<>{}$\[\]-]+(?::(?:\d+|[<{$\[][\w<>{}$\]-]+))?(?:[/?#][^\s]*)?$",
    re.IGNORECASE,
)


def _curl(argv: tuple[str, ...], _depth: int) -> Verdict:
    parsed = parse_flags(argv, _CURL_VALUED)
    urls = [word for _, word in parsed.positionals]
    urls += [flag.value or "" for flag in parsed.named("--url")]
    marks = _localhost(argv)
    if parsed.rest is not None:
        return Verdict(_MUTATE, "words after -- are not judged", argv, marks)
    if strange := _strange(parsed, _CURL_KNOWN):
        return Verdict(_MUTATE, f"curl {strange} may send or write something", argv, marks)
    for flag in parsed.named("-X", "--request"):
        if flag.value not in ("GET", "HEAD"):
            return Verdict(_MUTATE, f"curl sends {flag.value}", argv, marks)
    for flag in parsed.named("-o", "--output"):
        if flag.value != "/dev/null":
            return Verdict(_MUTATE, "curl writes a file", argv, marks)
    for flag in parsed.named("-H", "--header", "-w", "--write-out", "-A", "--user-agent"):
        if (flag.value or "@").startswith("@") or "%output" in (flag.value or ""):
            return Verdict(_MUTATE, f"curl {flag.name} reads or writes a file", argv, marks)
    if not urls or not all(_HTTP_URL.match(url) for url in urls):
        return Verdict(_MUTATE, "curl is not given a plain web address", argv, marks)
    return Verdict(_READ, "curl only gets", argv, marks)


def _wget(argv: tuple[str, ...], _depth: int) -> Verdict:
    parsed = parse_flags(argv, words_of("-O --output-document -T --timeout -t --tries"))
    known = words_of(
        "-q --quiet -O --output-document -S --server-response --spider -T --timeout -t --tries"
    )
    marks = _localhost(argv)
    to = [flag.value for flag in parsed.named("-O", "--output-document")]
    harmless = parsed.named("--spider") or (to and all(value == "-" for value in to))
    if _strange(parsed, known) or not harmless or not all(_HTTP_URL.match(u) for u in parsed.words):
        return Verdict(_MUTATE, "wget may write a file or send something", argv, marks)
    if any(value not in ("-", None) for value in to) or not parsed.words:
        return Verdict(_MUTATE, "wget may write a file", argv, marks)
    return Verdict(_READ, "wget only gets", argv, marks)


def _localhost(argv: Sequence[str]) -> tuple[tuple[Trait, int], ...]:
    return tuple((Trait.LOCALHOST, at) for at, word in enumerate(argv) if at and _LOCAL.match(word))


# --- containers, services, machines ------------------------------------------------------------

_DOCKER_OUTER = words_of(
    "-H --host -c --context --config -l --log-level -f --file -p --project-name --env-file --profile --project-directory"
)
_DOCKER_VALUED = words_of(
    "--tail -n --since --until -f --filter --format -u --user -w --workdir -e --env"
)
_DOCKER_READS = words_of("ps images version info top port stats logs")
_DOCKER_SUB_READS = {
    "system": {"df", "info"},
    "network": {"ls"},
    "volume": {"ls"},
    "container": {"ls", "top", "port"},
    "image": {"ls", "history"},
    "service": {"ls", "ps"},
    "node": {"ls", "ps"},
    "stack": {"ls", "ps", "services"},
}


def _docker(argv: tuple[str, ...], depth: int) -> Verdict:
    outer = parse_flags(argv, _DOCKER_OUTER, stop_at_positional=True)
    compose = argv[0] != "docker" and argv[0] != "podman"
    if outer.flags and not (
        compose and not _strange(outer, frozenset(("-f", "--file", "-p", "--project-name")))
    ):
        return Verdict(_MUTATE, f"{outer.flags[0].name} chooses another engine or file", argv)
    if not outer.positionals:
        return Verdict(_MUTATE, f"{argv[0]} without a verb", argv)
    at, verb = outer.positionals[0]
    if verb == "compose" and not compose:
        inner = (
            _docker(("docker-compose", *argv[at + 1 :]), depth + 1) if depth < _DEPTH_MAX else None
        )
        if inner is None:
            return Verdict(_MUTATE, "it is nested too deeply to be judged", argv)
        shifted = tuple((trait, i + at) for trait, i in inner.traits)
        ran = None if inner.argv is None else (*argv[: at + 1], *inner.argv[1:])
        return Verdict(inner.kind, inner.why, ran, shifted)
    if verb == "exec":
        return _docker_exec(argv, at, depth)
    rest = parse_flags(
        argv, _DOCKER_VALUED - ({"-f"} if verb == "logs" else frozenset()), start=at + 1
    )
    if verb in _DOCKER_READS:
        return _docker_reads(argv, rest, verb)
    if rest.words and rest.words[0] in _DOCKER_SUB_READS.get(verb, set()):
        return Verdict(_READ, f"{argv[0]} {verb} {rest.words[0]} only reads", argv)
    if verb in ("inspect", "config"):
        return Verdict(_SENSITIVE, f"{argv[0]} {verb} shows environment variables", argv)
    if verb in ("events", "attach", "wait"):
        return Verdict(_LONG, f"{argv[0]} {verb} runs until somebody ends it", None)
    return Verdict(_MUTATE, f"{argv[0]} {verb} may change something", argv)


def _docker_reads(argv: tuple[str, ...], rest: Parsed, verb: str) -> Verdict:
    why = f"{argv[0]} {verb} only reads"
    if verb == "logs" and (endless := rest.named("-f", "--follow")):
        tail = None if rest.named("--tail", "-n") else f"--tail={TAIL_LINES}"
        bounded = _bounded(argv, {flag.at: flag.name for flag in endless}, tail)
        return Verdict(_READ, why, bounded, ((Trait.NEVER_ENDS, endless[0].at),))
    if verb == "stats" and not rest.named("--no-stream"):
        return Verdict(_READ, why, (*argv, "--no-stream"), ((Trait.NEVER_ENDS, len(argv) - 1),))
    return Verdict(_READ, why, argv)


def _docker_exec(argv: tuple[str, ...], at: int, depth: int) -> Verdict:
    valued = words_of("-u --user -w --workdir -e --env --env-file --index --detach-keys")
    head = parse_flags(argv, valued, start=at + 1, stop_at_positional=True)
    known = words_of("-i -t -T --interactive --tty -u --user -w --workdir")
    if (strange := _strange(head, known)) or head.rest is not None:
        return Verdict(_MUTATE, f"{strange or '--'} is not known to be harmless", argv)
    if len(head.positionals) < 2:
        return Verdict(_SHELL, f"{argv[0]} exec without a command opens a session", None)
    inner_at = head.positionals[1][0]
    inner = _judge(argv[inner_at:], depth + 1)
    terminal = head.named("-i", "-t", "--interactive", "--tty")
    marks = tuple((Trait.TERMINAL, flag.at) for flag in terminal[:1])
    marks += tuple((t, i + inner_at) for t, i in inner.traits if t is not Trait.LOCALHOST)
    if inner.argv is None:
        return Verdict(inner.kind, f"inside the container, {inner.why}", None, marks)
    outside = _without_terminal(argv[:inner_at], {flag.at for flag in terminal})
    return Verdict(inner.kind, f"inside the container, {inner.why}", (*outside, *inner.argv), marks)


def _systemctl(argv: tuple[str, ...], _depth: int) -> Verdict:
    parsed = parse_flags(argv, words_of("-n --lines -o --output -t --type -p --property"))
    known = words_of(
        "-n --lines -o --output -t --type -p --property --no-pager -l --full -a --all -q --quiet --user --failed --state"
    )
    reads = ("status", "is-active", "is-enabled", "is-failed", "list-units", "list-timers", "cat")
    if parsed.words and parsed.words[0] in reads and not _strange(parsed, known):
        return Verdict(_READ, f"systemctl {parsed.words[0]} only reads", argv)
    verb = parsed.words[0] if parsed.words else "without a verb"
    return Verdict(_MUTATE, f"systemctl {verb} may change the machine", argv)


def _journalctl(argv: tuple[str, ...], _depth: int) -> Verdict:
    valued = words_of(
        "-u --unit -n --lines -S --since -U --until -p --priority -o --output -g --grep -t --identifier"
    )
    # -b takes an optional value, which would be read as a positional: a harmless filter.
    known = valued | words_of(
        "--no-pager -f --follow -e -x -k --dmesg -r --reverse -q -a -b --boot"
    )
    parsed = parse_flags(argv, valued)
    if strange := _strange(parsed, known):
        return Verdict(_MUTATE, f"journalctl {strange} is not known to be harmless", argv)
    endless = parsed.named("-f", "--follow")
    if not endless:
        return Verdict(_READ, "journalctl only reads", argv)
    tail = None if parsed.named("-n", "--lines") else f"--lines={TAIL_LINES}"
    bounded = _bounded(argv, {flag.at: flag.name for flag in endless}, tail)
    return Verdict(_READ, "journalctl only reads", bounded, ((Trait.NEVER_ENDS, endless[0].at),))


def _git(argv: tuple[str, ...], _depth: int) -> Verdict:
    if len(argv) < 2 or argv[1].startswith("-"):
        return Verdict(_MUTATE, "git with settings of its own may run anything", argv)
    verb, rest = argv[1], argv[2:]
    if any(
        word.startswith(("--out", "--ext", "-o", "-O", "--open", "--textconv")) for word in rest
    ):
        return Verdict(_MUTATE, "git may write a file or run another program", argv)
    if verb in ("status", "log", "diff", "show", "rev-parse", "describe", "blame", "shortlog"):
        return Verdict(_READ, f"git {verb} only reads", argv)
    if verb == "reflog" and (not rest or rest == ("show",)):
        return Verdict(_READ, "git reflog only reads", argv)
    if (verb, rest) in (("stash", ("list",)), ("tag", ()), ("tag", ("-l",)), ("tag", ("--list",))):
        return Verdict(_READ, f"git {verb} only lists", argv)
    if verb == "remote" and rest in ((), ("-v",)):
        return Verdict(_READ, "git remote only reads", argv)
    if verb == "branch" and all(
        w in ("-a", "-r", "-v", "-vv", "--list", "--show-current") for w in rest
    ):
        return Verdict(_READ, "git branch only lists", argv)
    return Verdict(_MUTATE, f"git {verb} may change something", argv)


def _helm(argv: tuple[str, ...], _depth: int) -> Verdict:
    valued = words_of("-n --namespace -o --output --revision --max -f --filter")
    parsed = parse_flags(argv, valued)
    known = words_of("-n --namespace -o --output --revision --max -A --all-namespaces -a --all")
    verb = parsed.words[0] if parsed.words else ""
    if _strange(parsed, known):
        return Verdict(_MUTATE, "a flag of helm is not known to be harmless", argv)
    if verb in ("list", "ls", "status", "history", "version"):
        return Verdict(_READ, f"helm {verb} only reads", argv)
    if verb == "get":
        return Verdict(_SENSITIVE, "helm get shows values, which may be secrets", argv)
    return Verdict(_MUTATE, f"helm {verb} may change the cluster", argv)


def _aws(argv: tuple[str, ...], _depth: int) -> Verdict:
    if len(argv) < 3 or argv[1].startswith("-") or argv[2].startswith("-"):
        return Verdict(_MUTATE, "aws with settings of its own is not judged", argv)
    rest = argv[3:]
    other = ("--prof", "--end", "--cli-i", "--no-verify", "--ca-bundle")
    if any(word.startswith(other) or "file://" in word or "fileb://" in word for word in rest):
        return Verdict(_MUTATE, "aws is told to use another account or a file", argv)
    if argv[1:3] == ("logs", "tail"):
        endless = [at for at, word in enumerate(argv) if word == "--follow"]
        bounded = tuple(word for word in argv if word != "--follow")
        marks = ((Trait.NEVER_ENDS, endless[0]),) if endless else ()
        return Verdict(_READ, "aws logs tail only reads", bounded, marks)
    if argv[1] == "s3api" and argv[2].startswith("get-object"):
        return Verdict(_MUTATE, "aws s3api get-object writes a file", argv)
    if argv[1:3] in _AWS_GETS:
        return Verdict(_READ, f"aws {argv[1]} {argv[2]} only reads", argv)
    if argv[2].startswith(("describe-", "list-")) or argv[1:3] == ("s3", "ls"):
        return Verdict(_READ, f"aws {argv[1]} {argv[2]} only reads", argv)
    if argv[2].startswith("get-"):
        return Verdict(_SENSITIVE, f"aws {argv[1]} {argv[2]} may show secrets", argv)
    return Verdict(_MUTATE, f"aws {argv[1]} {argv[2]} may change something", argv)


_AWS_GETS = {
    ("sts", "get-caller-identity"),
    ("cloudwatch", "get-metric-statistics"),
    ("cloudwatch", "get-metric-data"),
    ("elbv2", "get-listener"),
    ("ce", "get-cost-and-usage"),
}
_CLOUD_SECRET = re.compile(
    r"secret|key|token|credential|password|auth|connection-string|sas|kubeconfig", re.IGNORECASE
)
_GCLOUD_READS = ("list", "describe", "read", "get-health", "get-iam-policy", "get-server-config")
_GCLOUD_KNOWN = words_of("""--project --region --zone --format --filter --limit --sort-by --location --cluster --quiet
    -q --freshness --order --service --instance --uri --page-size --global""")
_AZ_READS = ("list", "show", "list-instances", "list-usage")
_AZ_KNOWN = words_of("""-g --resource-group -n --name -o --output --query --subscription -l --location --show-details
    -d --top --offset --start-time --end-time --metric --resource --cluster-name --server --workspace""")


def _cloud(
    argv: tuple[str, ...], reads: Sequence[str], known: frozenset[str], others: Sequence[str]
) -> Verdict:
    """Judge ``gcloud`` and ``az``: groups of words, a verb, and flags that choose what is meant."""
    parsed = parse_flags(
        argv, known - {"--quiet", "-q", "--global", "--show-details", "-d", "--uri"}
    )
    program, words = argv[0], parsed.words
    if parsed.named(*others):
        return Verdict(_MUTATE, f"{program} is told to act as somebody else", argv)
    if any(_CLOUD_SECRET.search(word) for word in words):
        is_read = any(
            word in (*reads, "access") or word.startswith(("print-", "get-")) for word in words
        )
        if is_read and not any(word in _CLOUD_CHANGES for word in words):
            return Verdict(_SENSITIVE, f"{program} may show secrets", argv)
        return Verdict(_MUTATE, f"{program} may change something", argv)
    verb = next((word for word in words if word in reads), "")
    changes = next((word for word in words if word in _CLOUD_CHANGES), "")
    if verb and not changes and not _strange(parsed, known):
        return Verdict(_READ, f"{program} {verb} only reads", argv)
    return Verdict(_MUTATE, f"{program} may change something", argv)


_CLOUD_CHANGES = words_of("""get-credentials create delete update set add remove start stop restart reset resize scale import export patch
    deploy rollback promote failover invoke run run-command execute-sql ssh scp restore rotate-keys regenerate
    renew purge assign grant revoke enable disable attach detach move undelete clear cancel apply replace""")


def _gcloud(argv: tuple[str, ...], _depth: int) -> Verdict:
    others = (
        "--impersonate-service-account",
        "--account",
        "--configuration",
        "--access-token-file",
    )
    return _cloud(argv, _GCLOUD_READS, _GCLOUD_KNOWN, others)


def _az(argv: tuple[str, ...], _depth: int) -> Verdict:
    return _cloud(argv, _AZ_READS, _AZ_KNOWN, ())


def _iptables(argv: tuple[str, ...], _depth: int) -> Verdict:
    parsed = parse_flags(argv, frozenset(("-t", "--table")))
    lists = parsed.named("-L", "--list", "-S", "--list-rules")
    known = words_of(
        "-L --list -S --list-rules -n --numeric -v --verbose -x --exact --line-numbers -t --table"
    )
    if lists and not _strange(parsed, known):
        return Verdict(_READ, f"{argv[0]} only lists", argv)
    return Verdict(_MUTATE, f"{argv[0]} may change what is let through", argv)


# --- programs that run another -----------------------------------------------------------------


def _wrapper(argv: tuple[str, ...], depth: int) -> Verdict:
    valued = {"sudo": frozenset(("-u", "--user")), "timeout": frozenset(("-s", "-k"))}
    parsed = parse_flags(argv, valued.get(argv[0], frozenset()), stop_at_positional=True)
    known = {"sudo": frozenset(("-u", "--user", "-n")), "timeout": frozenset(("-s", "-k"))}
    if (strange := _strange(parsed, known.get(argv[0], frozenset()))) or parsed.rest is not None:
        return Verdict(_MUTATE, f"{argv[0]} {strange} is not judged", argv)
    skip = 1 if argv[0] == "timeout" else 0
    if len(parsed.positionals) <= skip or "=" in parsed.words[skip]:
        return Verdict(_MUTATE, f"{argv[0]} without a plain command", argv)
    at = parsed.positionals[skip][0]
    inner = _judge(argv[at:], depth + 1)
    traits = tuple((trait, i + at) for trait, i in inner.traits)
    ran = None if inner.argv is None else (*argv[:at], *inner.argv)
    return Verdict(inner.kind, inner.why, ran, traits)


def _watch(argv: tuple[str, ...], depth: int) -> Verdict:
    parsed = parse_flags(argv, frozenset(("-n", "--interval")), stop_at_positional=True)
    if not parsed.positionals or _strange(
        parsed, frozenset(("-n", "--interval", "-d", "-t", "-x"))
    ):
        return Verdict(_LONG, "watch runs until somebody ends it", None, ((Trait.NEVER_ENDS, 0),))
    if len(parsed.positionals) == 1 and " " in parsed.words[0]:
        return Verdict(_SHELL, "watch hands its words to a shell", None, ((Trait.NEVER_ENDS, 0),))
    at = parsed.positionals[0][0]
    inner = _judge(argv[at:], depth + 1)
    traits = ((Trait.NEVER_ENDS, 0), *((trait, i + at) for trait, i in inner.traits))
    return Verdict(
        inner.kind, f"{inner.why}; watch never ends, so it would run once", inner.argv, traits
    )


# --- small tools -------------------------------------------------------------------------------

# Per program: long or short flags that make it more than a reader.
_HARMLESS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        [
            "ls",
            "df",
            "du",
            "ps",
            "uptime",
            "whoami",
            "id",
            "uname",
            "nproc",
            "lsblk",
            "echo",
            "printf",
            "pwd",
            "which",
            "stat",
            "basename",
            "dirname",
            "true",
            "pg_isready",
            "w",
            "who",
            "last",
            "md5sum",
            "sha256sum",
            "grep",
            "egrep",
            "fgrep",
            "head",
            "wc",
            "cut",
            "tr",
            "nslookup",
            "host",
            "getent",
            "lscpu",
            "column",
            "nl",
            "rev",
        ],
        (),
    ),
    "dig": ("-f", "-k", "-y"),
    "lsof": ("-r", "+r"),
    "free": ("-s", "--seconds", "-c", "--count"),
    "netstat": ("-c", "--continuous"),
    "ss": ("-K", "--kill", "-E", "--events", "-D", "--diag"),
    "date": ("-s", "--set"),
    "hostname": ("-F", "--file", "-b", "--boot"),
    "sort": ("-o", "--output", "--compress-program", "-T", "--temporary-directory"),
    "uniq": (),
    "cat": (),
    "dmesg": ("-c", "--read-clear", "-C", "--clear", "-D", "-E", "-n", "-w", "--follow"),
}
_SECRET_FILE = re.compile(
    r"secret|password|passwd|shadow|\.env\b|environ$|id_rsa|\.pem$|\.key$|token|credential|kubeconfig",
    re.IGNORECASE,
)


def _harmless(argv: tuple[str, ...]) -> Verdict:
    program = argv[0]
    parsed = parse_flags(argv, frozenset())
    for flag in parsed.flags:
        for bad in _HARMLESS[program]:
            # GNU programs take any unambiguous beginning of a long flag.
            is_beginning = bad.startswith("--") and len(flag.name) > 3 and bad.startswith(flag.name)
            if flag.name == bad or is_beginning:
                return Verdict(_MUTATE, f"{program} {flag.name} does more than read", argv)
    words = parsed.words
    if program == "uniq" and len(words) > 1:
        return Verdict(_MUTATE, "uniq writes its second file", argv)
    if program == "hostname" and words:
        return Verdict(_MUTATE, "hostname sets a name", argv)
    if program == "date" and any(not word.startswith("+") for word in words):
        return Verdict(_MUTATE, "date may set the clock", argv)
    if program in ("cat", "head", "grep", "egrep", "fgrep", "cut", "sort", "wc"):
        # The first word of grep is what it looks for.
        named = parsed.positionals[1:] if program.endswith("grep") else parsed.positionals
        secret = next((at for at, word in named if _SECRET_FILE.search(word)), None)
        if secret is not None:
            return Verdict(_SENSITIVE, "it may show secrets", argv, ((Trait.SECRET, secret),))
    return Verdict(_READ, f"{program} only reads", argv)


def _tail(argv: tuple[str, ...], _depth: int) -> Verdict:
    parsed = parse_flags(argv, frozenset(("-n", "--lines", "-c", "--bytes", "-s", "--pid")))
    if any(_SECRET_FILE.search(word) for word in parsed.words):
        return Verdict(_SENSITIVE, "it may show secrets", argv)
    endless = parsed.named("-f", "-F", "--follow", "--retry")
    if not endless:
        return Verdict(_READ, "tail only reads", argv)
    joined = any(re.match(r"^-\d", argv[flag.at]) for flag in endless)
    many = None if parsed.named("-n", "--lines") or joined else f"--lines={TAIL_LINES}"
    bounded = _bounded(argv, {flag.at: flag.name for flag in endless}, many)
    return Verdict(_READ, "tail only reads", bounded, ((Trait.NEVER_ENDS, endless[0].at),))


def _jq(argv: tuple[str, ...], _depth: int) -> Verdict:
    parsed = parse_flags(argv, frozenset(("--indent",)))
    if strange := _strange(
        parsed,
        words_of("-r --raw-output -c --compact-output -s --slurp -S -e -M -C -n --indent -j"),
    ):
        return Verdict(_MUTATE, f"jq {strange} is not judged", argv)
    if re.search(
        r"\benv\b|\$ENV|\binput_filename\b|\$__prog", parsed.words[0] if parsed.words else ""
    ):
        return Verdict(_SENSITIVE, "jq would show environment variables", argv)
    return Verdict(_READ, "jq only reads", argv)


def _env(argv: tuple[str, ...], _depth: int) -> Verdict:
    if len(argv) == 1:
        return Verdict(_SENSITIVE, "it shows environment variables", argv, ((Trait.SECRET, 0),))
    if argv[0] == "printenv" and not any(word.startswith("-") for word in argv[1:]):
        return Verdict(_SENSITIVE, "it shows environment variables", argv, ((Trait.SECRET, 0),))
    return Verdict(_MUTATE, "env sets variables and runs a program", argv)


def _top(argv: tuple[str, ...], _depth: int) -> Verdict:
    parsed = parse_flags(argv, frozenset(("-n", "-d", "-p", "-u", "-U", "-o", "-w")))
    if (
        parsed.named("-b")
        and parsed.named("-n")
        and not _strange(
            parsed, frozenset(("-b", "-n", "-d", "-p", "-u", "-U", "-o", "-w", "-H", "-c"))
        )
    ):
        return Verdict(_READ, "top in batch mode only reads", argv)
    return Verdict(_LONG, "top runs until somebody ends it", None, ((Trait.NEVER_ENDS, 0),))


def _ping(argv: tuple[str, ...], _depth: int) -> Verdict:
    parsed = parse_flags(argv, frozenset(("-c", "-W", "-w", "-i", "-s", "-I", "-t")))
    if _strange(parsed, frozenset(("-c", "-W", "-w", "-4", "-6", "-n", "-q", "-I"))):
        return Verdict(_MUTATE, "a flag of ping is not known to be harmless", argv)
    if parsed.named("-c", "-w"):
        return Verdict(_READ, "ping only asks", argv, _localhost(argv))
    traits = ((Trait.NEVER_ENDS, 0), *_localhost(argv))
    return Verdict(
        _READ,
        "ping only asks; it never ends, so it would run four times",
        (argv[0], "-c", "4", *argv[1:]),
        traits,
    )


def _stat_interval(argv: tuple[str, ...], _depth: int) -> Verdict:
    parsed = parse_flags(argv, frozenset())
    if len(parsed.words) == 1:
        return Verdict(
            _LONG,
            f"{argv[0]} with an interval runs until somebody ends it",
            None,
            ((Trait.NEVER_ENDS, 0),),
        )
    return Verdict(_READ, f"{argv[0]} only reads", argv)


_JUDGES: dict[str, Callable[[tuple[str, ...], int], Verdict]] = {
    "kubectl": _kubectl,
    "oc": _kubectl,
    "psql": _psql,
    "redis-cli": _redis,
    "curl": _curl,
    "wget": _wget,
    "docker": _docker,
    "podman": _docker,
    "docker-compose": _docker,
    "systemctl": _systemctl,
    "journalctl": _journalctl,
    "git": _git,
    "helm": _helm,
    "aws": _aws,
    "gcloud": _gcloud,
    "az": _az,
    "iptables": _iptables,
    "ip6tables": _iptables,
    "sudo": _wrapper,
    "timeout": _wrapper,
    "time": _wrapper,
    "watch": _watch,
    "tail": _tail,
    "jq": _jq,
    "env": _env,
    "printenv": _env,
    "top": _top,
    "ping": _ping,
    "vmstat": _stat_interval,
    "iostat": _stat_interval,
}
_SHELLS = words_of("bash sh zsh dash ksh fish eval source exec ssh su screen tmux")
_INTERACTIVE = words_of("htop less more vi vim nano iotop nethogs tcpdump")
_OTHER_PROGRAMS = (
    words_of("""kill pkill killall rm mv cp mkdir touch chmod chown ln tar gzip scp rsync sed awk find xargs
    tee mysql mysqldump pg_dump pg_restore mongo mongosh etcdctl rabbitmqctl kafka-topics terraform
    ansible ansible-playbook gcloud az make npm yarn pip python python3 node go cargo java service
    apt apt-get yum dnf nginx haproxy openssl nc telnet traceroute iptables sysctl mount umount
    fuser reboot shutdown crontab alembic pytest argocd flux kustomize istioctl velero vault consul
    nomad patronictl pgbouncer export cd sleep set unset test promtool amtool createdb dropdb
    pg_ctl vacuumdb reindexdb gsutil heroku fly eksctl calicoctl crictl ctr""")
    | _SHELLS
    | _INTERACTIVE
)

FILTERS = words_of("grep egrep fgrep head tail sort uniq wc cut jq")
