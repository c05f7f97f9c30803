"""Clients of brokers, stores and deployers: a few verbs of each are known to read."""

from __future__ import annotations

from tocsin.runbook.flags import parse_flags
from tocsin.runbook.programs.verdicts import (
    Argv,
    Inner,
    Judge,
    Verdict,
    localhost,
    mutates,
    reads,
    shows_secrets,
    unknown_flag,
)
from tocsin.runbook.wordlists import words as words_of

_RABBIT_READS = words_of("""status cluster_status list_queues list_exchanges list_bindings list_connections list_channels
    list_consumers list_vhosts list_unresponsive_queues ping version node_health_check""")
_NODETOOL_READS = words_of("""status info tpstats ring netstats compactionstats describecluster gossipinfo proxyhistograms
    tablestats cfstats version statusgossip statusbinary listsnapshots failuredetector gcstats""")
_ETCD_READS = {
    ("endpoint", "health"),
    ("endpoint", "status"),
    ("endpoint", "hashkv"),
    ("member", "list"),
    ("alarm", "list"),
    ("version", ""),
}  # fmt: skip
_ETCD_FLAGS = words_of(
    "--endpoints -w --write-out --cluster --cacert --cert --key --command-timeout --dial-timeout"
)
_KAFKA_FLAGS = words_of("--bootstrap-server --topic --group --list --describe --members --state --all-groups --all-topics"
    " --under-replicated-partitions --unavailable-partitions --exclude-internal --verbose --offsets")  # fmt: skip
_X509_FLAGS = words_of("""-in -noout -text -dates -enddate -startdate -subject -issuer -fingerprint -serial -checkend
    -ext -inform -sha256 -purpose -email -ocsp_uri""")
_ARGO_READS = {
    ("app", "get"),
    ("app", "list"),
    ("app", "history"),
    ("app", "resources"),
    ("app", "diff"),
    ("version", ""),
}
_ARGO_FLAGS = words_of("-o --output -p --project -l --selector --refresh")


def _rabbit(argv: Argv, _inner: Inner) -> Verdict:
    parsed = parse_flags(argv, words_of("-n --node -p --vhost -t --timeout --formatter"))
    known = words_of(
        "-n --node -p --vhost -q --quiet -s --silent -t --timeout --formatter --no-table-headers -l --longnames"
    )
    verb = parsed.words[0] if parsed.words else ""
    if strange := parsed.beyond(known):
        return unknown_flag(argv, strange)
    if verb == "environment":
        return shows_secrets(argv, f"{argv[0]} environment shows settings, which may be secrets")
    if verb in _RABBIT_READS or (argv[0] == "rabbitmq-diagnostics" and verb.startswith("check_")):
        return reads(argv, f"{argv[0]} {verb} only reads")
    return mutates(argv, f"{argv[0]} {verb} may change the broker")


def _nodetool(argv: Argv, _inner: Inner) -> Verdict:
    parsed = parse_flags(argv, words_of("-h --host -p --port"))
    if strange := parsed.beyond(words_of("-h --host -p --port -r -H --human-readable")):
        return unknown_flag(argv, strange)
    if parsed.words and parsed.words[0] in _NODETOOL_READS:
        return reads(argv, f"nodetool {parsed.words[0]} only reads", localhost(argv))
    return mutates(argv, "nodetool may change the cluster")


def _etcd(argv: Argv, _inner: Inner) -> Verdict:
    parsed = parse_flags(argv, _ETCD_FLAGS - {"--cluster"})
    verb, sub = (*parsed.words, "", "")[:2]
    if strange := parsed.beyond(_ETCD_FLAGS):
        return unknown_flag(argv, strange)
    if verb == "get":
        return shows_secrets(argv, "etcdctl get shows what is stored")
    if (verb, sub) in _ETCD_READS:
        return reads(argv, f"etcdctl {verb} {sub}".rstrip() + " only reads", localhost(argv))
    return mutates(argv, "etcdctl may change the store")


def _kafka(argv: Argv, _inner: Inner) -> Verdict:
    parsed = parse_flags(argv, words_of("--bootstrap-server --topic --group"))
    if strange := parsed.beyond(_KAFKA_FLAGS):
        return unknown_flag(argv, strange)
    if parsed.named("--list", "--describe") and not parsed.words:
        return reads(argv, f"{argv[0]} only describes", localhost(argv))
    return mutates(argv, f"{argv[0]} may change the cluster")


_S_CLIENT_FLAGS = words_of("""-connect -servername -showcerts -brief -verify_return_error -starttls -tls1_2 -tls1_3
    -no_ign_eof -verify -verify_hostname""")


def _openssl(argv: Argv, _inner: Inner) -> Verdict:
    command = argv[1] if len(argv) > 1 else ""
    if command == "version":
        return reads(argv, "openssl version only reads")
    if command not in ("x509", "s_client") or (command == "x509" and "-noout" not in argv):
        return mutates(argv, "openssl may write something or send something")
    known = _X509_FLAGS if command == "x509" else _S_CLIENT_FLAGS
    if strange := next((w for w in argv[2:] if w.startswith("-") and w not in known), ""):
        return unknown_flag(argv, strange)
    return reads(argv, f"openssl {command} only shows a certificate", localhost(argv))


def _argo(argv: Argv, _inner: Inner) -> Verdict:
    parsed = parse_flags(argv, words_of("-o --output -p --project -l --selector"))
    verb, sub = (*parsed.words, "", "")[:2]
    # A hard refresh makes the server read its repositories again.
    if strange := parsed.beyond(_ARGO_FLAGS - {"--refresh"}):
        return unknown_flag(argv, strange)
    if (verb, sub) in _ARGO_READS:
        return reads(argv, f"argocd {verb} {sub}".rstrip() + " only reads")
    return mutates(argv, "argocd may change what is deployed")


def _terraform(argv: Argv, _inner: Inner) -> Verdict:
    if argv[1:2] in (("version",), ("-version",)):
        return reads(argv, "terraform version only reads")
    if argv[1:2] in (("show",), ("output",)) or argv[1:3] == ("state", "show"):
        return shows_secrets(argv, "a state may hold secrets")
    if argv[1:] == ("state", "list"):
        return reads(argv, "terraform state list only reads")
    return mutates(argv, f"{argv[0]} may change what is deployed, or lock its state")


JUDGES: dict[str, Judge] = {
    **dict.fromkeys(("rabbitmqctl", "rabbitmq-diagnostics"), _rabbit),
    **dict.fromkeys(
        ("kafka-topics", "kafka-topics.sh", "kafka-consumer-groups", "kafka-consumer-groups.sh"),
        _kafka,
    ),
    "nodetool": _nodetool,
    "etcdctl": _etcd,
    "openssl": _openssl,
    "argocd": _argo,
    "terraform": _terraform,
}
