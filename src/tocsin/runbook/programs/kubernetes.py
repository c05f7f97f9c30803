"""kubectl and oc: verbs that read, the resources that hold secrets, and whose cluster it is."""

from __future__ import annotations

import re

from tocsin.runbook.flags import Parsed, parse_flags
from tocsin.runbook.programs.pods import judge_exec, pod_marks
from tocsin.runbook.programs.verdicts import (
    TAIL_LINES,
    Argv,
    Inner,
    Trait,
    Traits,
    Verdict,
    follows,
    has_hole,
    mutates,
    needs_shell,
    never_ends,
    reads,
    shows_secrets,
    unknown_flag,
)
from tocsin.runbook.wordlists import words as words_of

_VALUED = words_of("""-n --namespace -o --output -l --selector -c --container --field-selector --sort-by --tail
    --since --since-time -L --label-columns --chunk-size --limit-bytes --max-log-requests --for
    --types --api-version --api-group --verbs --revision --timeout --subresource
    --request-timeout -v --v --template --pod-running-timeout --kubeconfig --context --cluster
    --server -s --token --as --as-group --as-uid --as-user-extra --user --replicas --grace-period -f
    --filename -p --patch --type --image --cache-dir --profile --profile-output --username
    --password --client-key --client-certificate --certificate-authority --tls-server-name -k
    --kustomize --raw --current-replicas --to-revision --min --max --port""")
# Letters that are switches to these verbs and take a value with others.
_SWITCHES = {
    **dict.fromkeys(("get", "describe", "events", "top", "diff"), frozenset(("-p", "--profile"))),
    "logs": frozenset(("-p", "--profile", "-f")),
}
_OWN_CLUSTER = words_of("""--kubeconfig --context --cluster --server -s --token --as --as-group --as-uid
    --as-user-extra --user --username --password --client-key --client-certificate
    --certificate-authority --tls-server-name --insecure-skip-tls-verify""")
_ANY_VERB = words_of("-n --namespace --request-timeout")
_LISTS = words_of("""-A --all-namespaces -o --output -l --selector --field-selector --show-labels --sort-by --no-headers
    -L --label-columns --chunk-size --ignore-not-found --server-print --show-kind --template
    --show-managed-fields --subresource -w --watch --watch-only""")
# Per verb that reads: the flags that leave it a reader.
_READERS = {
    "get": _LISTS | {"-R", "--recursive"},
    "describe": words_of("-A --all-namespaces -l --selector --show-events --chunk-size"),
    "logs": words_of("""-l --selector -c --container --tail --since --since-time -p --previous --timestamps
        --all-containers --all-pods --prefix --limit-bytes --max-log-requests --ignore-errors
        --pod-running-timeout -f --follow"""),
    "top": words_of("""-A --all-namespaces -l --selector --field-selector --containers --sort-by --no-headers --sum
        --use-protocol-buffers --show-capacity"""),
    "events": _LISTS | {"--for", "--types"},
    "explain": words_of("--recursive --api-version -o --output"),
    "version": words_of("--client --short -o --output"),
    "api-resources": words_of(
        "--api-group --namespaced --verbs -o --output --no-headers --sort-by --cached --categories"
    ),
    "api-versions": frozenset[str](),
    "cluster-info": frozenset[str](),
    "wait": words_of("--for --timeout --all -A --all-namespaces -l --selector --field-selector"),
    # OpenShift only.
    "status": frozenset[str](),
    "projects": words_of("-q --short"),
}
# Verbs that read with one of these second words.
_SECOND_WORDS = {
    ("rollout", "status"): words_of("-w --watch --timeout --revision -l --selector"),
    ("rollout", "history"): words_of("--revision -o --output -l --selector --template"),
    ("auth", "can-i"): words_of("--list -q --quiet -A --all-namespaces --no-headers --subresource"),
    ("auth", "whoami"): words_of("-o --output"),
    ("config", "current-context"): frozenset[str](),
    ("config", "get-contexts"): words_of("-o --output --no-headers"),
    ("config", "get-clusters"): frozenset[str](),
    ("config", "get-users"): frozenset[str](),
    ("config", "view"): words_of("--minify -o --output --raw --flatten"),
    # OpenShift only.
    ("adm", "top"): words_of("-l --selector --containers --sort-by --no-headers"),
}
_OPENSHIFT = words_of("status projects adm whoami")
_NAMESPACED = words_of(
    "get describe logs top events exec rollout scale delete edit patch set label annotate"
)
_CLUSTER_WIDE = words_of("""node nodes no namespace namespaces ns pv persistentvolume persistentvolumes clusterrole
    clusterroles clusterrolebinding clusterrolebindings storageclass storageclasses sc crd crds
    customresourcedefinitions componentstatuses cs""")
_SECRET_KIND = re.compile(r"^\W*secrets?(?:$|\W)|token|credential|password", re.IGNORECASE)
_SESSIONS = dict.fromkeys(("port-forward", "proxy", "attach"), "runs until somebody ends it")
# What a server can try without doing it. Only these flags keep a trial one.
_TRIALS = words_of("""apply create delete scale label annotate cordon uncordon drain taint patch set autoscale expose
    replace""")
_TRIAL_FLAGS = words_of("""--dry-run --replicas --current-replicas -l --selector --all -p --patch --type --overwrite
    --ignore-daemonsets --min --max --image --port --delete-emptydir-data -f --filename""")
_FORM = re.compile(
    r"^(?:wide|json|yaml|name|plaintext|openapi\w*|go-template|template|jsonpath)$"
    r"|^(?:go-template|template|jsonpath|jsonpath-as-json|custom-columns)=",
)
_PLAIN_FILE = re.compile(r"^[\w.][\w./-]*$")


def judge(argv: Argv, inner: Inner) -> Verdict:
    """Judge ``kubectl`` and ``oc``."""
    first = parse_flags(argv, _VALUED, stop_at_positional=True, short_equals=True)
    if not first.positionals:
        if first.named(*_OWN_CLUSTER):
            return _own_cluster(first)
        return mutates(argv, f"{argv[0]} without a verb")
    verb = first.words[0]
    parsed = parse_flags(argv, _VALUED - _SWITCHES.get(verb, frozenset()), short_equals=True)
    if parsed.named(*_OWN_CLUSTER):
        return _own_cluster(parsed)
    traits = _traits(parsed, verb)
    if any(re.match(r"^-[^\d]", argv[flag.at_value or 0]) for flag in parsed.flags):
        return mutates(argv, "a flag stands where another one's value is expected", traits)
    if verb == "exec":
        return judge_exec(argv, traits, inner)
    if verb in _OPENSHIFT and argv[0] != "oc":
        return mutates(argv, f"{argv[0]} {verb} may change the cluster", traits)
    if verb in _READERS:
        return _reads(argv, parsed, verb, traits)
    return _acts(argv, parsed, verb, traits)


def _acts(argv: Argv, parsed: Parsed, verb: str, traits: Traits) -> Verdict:
    """Judge verbs that read only with a second word, only as a trial, or not at all."""
    program = argv[0]
    sub = parsed.words[1] if len(parsed.words) > 1 else ""
    if (verb, sub) in _SECOND_WORDS:
        return _reads_second(argv, parsed, verb, sub, traits)
    if verb == "whoami":
        return _whoami(argv, parsed, traits)
    if verb in _SESSIONS:
        return never_ends(None, f"{program} {verb} {_SESSIONS[verb]}", traits)
    if verb in ("edit", "debug"):
        return mutates(None, f"{program} {verb} changes the cluster, at a terminal", traits)
    if verb == "rsh":
        return needs_shell(f"{program} rsh opens a session", traits)
    if verb in _TRIALS and (trial := _trial(argv, parsed, verb, traits)) is not None:
        return trial
    return mutates(argv, f"{program} {verb} may change the cluster", traits)


def _reads_second(argv: Argv, parsed: Parsed, verb: str, sub: str, traits: Traits) -> Verdict:
    if strange := parsed.beyond(_SECOND_WORDS[verb, sub] | _ANY_VERB):
        return unknown_flag(argv, strange, traits)
    if _reads_file(parsed):
        return mutates(argv, "its form of output is not known, or kept in a file", traits)
    if parsed.named("--raw"):
        return shows_secrets(argv, f"{argv[0]} config view --raw shows credentials", traits)
    return reads(argv, f"{argv[0]} {verb} {sub} only reads", traits)


def _whoami(argv: Argv, parsed: Parsed, traits: Traits) -> Verdict:
    if strange := parsed.beyond(words_of("-t --show-token -c --show-context --show-server")):
        return unknown_flag(argv, strange, traits)
    if parsed.named("-t", "--show-token"):
        return shows_secrets(argv, f"{argv[0]} whoami shows a token", traits)
    return reads(argv, f"{argv[0]} whoami only reads", traits)


def _trial(argv: Argv, parsed: Parsed, verb: str, traits: Traits) -> Verdict | None:
    """Judge a change that is only tried; None if a word of it says, or may say, otherwise."""
    values = [flag.value for flag in parsed.named("--dry-run")]
    if not values or any(value not in ("client", "server") for value in values):
        return None
    # "apply edit-last-applied" starts an editor.
    if verb == "apply" and len(parsed.words) > 1:
        return None
    if parsed.beyond(_TRIAL_FLAGS | _ANY_VERB) or any(map(has_hole, parsed.words[:2])):
        return None
    files = parsed.named("-f", "--filename")
    if not all(flag.value and _PLAIN_FILE.match(flag.value) for flag in files):
        return None
    if any(_holds_secrets(kind) for kind in _kinds(parsed)):
        return None
    return reads(argv, f"{argv[0]} {verb} --dry-run={values[0]} only says what it would do", traits)


def _own_cluster(parsed: Parsed) -> Verdict:
    flag = parsed.named(*_OWN_CLUSTER)[0]
    why = f"{flag.name} chooses another cluster or user than the one that is pinned"
    return mutates(None, why, ((Trait.OWN_CLUSTER, flag.at),))


def _traits(parsed: Parsed, verb: str) -> Traits:
    traits: list[tuple[Trait, int]] = []
    kinds = {piece for word in parsed.words[1:2] for piece in word.casefold().split(",")}
    named = parsed.named("-n", "--namespace", "-A", "--all-namespaces")
    if named:
        traits.append((Trait.NAMESPACE, named[0].at))
    elif verb in _NAMESPACED and not kinds & _CLUSTER_WIDE:
        traits.append((Trait.NO_NAMESPACE, 0))
    traits.extend(pod_marks(parsed, verb))
    traits.extend((Trait.REPLICAS, flag.at) for flag in parsed.named("--replicas"))
    return tuple(traits)


def _reads(argv: Argv, parsed: Parsed, verb: str, traits: Traits) -> Verdict:
    if verb == "get" and (raw := parsed.named("--raw")):
        if strange := parsed.beyond(frozenset(("--raw",)) | _ANY_VERB):
            return unknown_flag(argv, strange, traits)
        why = "it asks the API itself, which shows anything"
        return shows_secrets(argv, why, (*traits, (Trait.SECRET, raw[0].at)))
    if strange := parsed.beyond(_READERS[verb] | _ANY_VERB):
        return unknown_flag(argv, strange, traits)
    if _reads_file(parsed):
        return mutates(argv, "its form of output is not known, or kept in a file", traits)
    if verb == "cluster-info" and len(parsed.words) > 1:
        return mutates(argv, f"{argv[0]} cluster-info dump writes files", traits)
    found = _bounded(argv, parsed, verb, traits)
    secret = None
    if verb in ("get", "describe", "wait"):
        places = parsed.positionals[1:]
        secret = next((at for at, word in places if _names_secret_kind(word, at, parsed)), None)
    if secret is None:
        return found
    why = "it reads secrets"
    if has_hole(argv[secret]):
        why = "what it reads is not said, and may be secrets"
    return shows_secrets(found.argv or argv, why, (*found.traits, (Trait.SECRET, secret)))


def _bounded(argv: Argv, parsed: Parsed, verb: str, traits: Traits) -> Verdict:
    why = f"{argv[0]} {verb} only reads"
    endless = parsed.named("-f", "--follow") if verb == "logs" else ()
    endless += parsed.named("-w", "--watch", "--watch-only")
    endless = tuple(flag for flag in endless if flag.value != "false")
    if not endless:
        return reads(argv, why, traits)
    tail = f"--tail={TAIL_LINES}" if verb == "logs" and not parsed.named("--tail") else None
    return follows(argv, endless, why, tail, traits)


def _reads_file(parsed: Parsed) -> bool:
    """Say whether a form of output is not known, as is one kept in a file: "jsonpath-file=x"."""
    asked = parsed.named("-o", "--output")
    return any(not _FORM.match(flag.value or "?") for flag in asked)


def _names_secret_kind(word: str, at: int, parsed: Parsed) -> bool:
    """Say whether a positional names secrets, or has a hole where the kind of resource stands."""
    if "/" in word:
        return any(_holds_secrets(piece.partition("/")[0]) for piece in word.split(","))
    return at == parsed.positionals[1][0] and any(map(_holds_secrets, word.split(",")))


def _kinds(parsed: Parsed) -> list[str]:
    return [
        piece.partition("/")[0]
        for at, word in enumerate(parsed.words[1:])
        for piece in word.split(",")
        if at < 1 or "/" in piece
    ]


def _holds_secrets(kind: str) -> bool:
    return _SECRET_KIND.search(kind) is not None or has_hole(kind)
