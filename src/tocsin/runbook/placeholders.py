"""Placeholders of a command as typed holes: what is to be filled in, where, and with what."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence

from tocsin.core.policy import HoleType, Placeholder
from tocsin.runbook.programs.verdicts import Trait, Verdict
from tocsin.runbook.shell import Statement, holes_in
from tocsin.runbook.wordlists import words as words_of

# A hole in what the output is piped into stands in no word of the argv.
AT_FILTER = -1

_UPPER = re.compile(r"(?<![\w$<>{}\[\]%=-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*(?![\w=<>}\]]|-$)")
# Of words all in capitals those that end, or begin, like this are to be filled in; others are
# states, methods, levels.
_NOUNS = words_of("""ID NAME HOST HOSTNAME IP URL ADDRESS PORT NS NAMESPACE POD NODE USER USERNAME DB DATABASE KEY TOKEN
    PATH FILE VERSION TAG REVISION SERVICE CONTAINER DEPLOYMENT CLUSTER REGION ZONE BUCKET QUEUE TOPIC TABLE PID HASH
    SHA COMMIT INSTANCE SERVER DOMAIN ENDPOINT GROUP PROJECT ACCOUNT ARN IMAGE RELEASE CHART NUMBER COUNT PASSWORD""")
_ALONE = words_of("""NAMESPACE POD PODNAME NODE NODENAME DEPLOYMENT HOSTNAME HOST CONTAINER SERVICE CLUSTER REGION
    DATABASE DBNAME USERNAME PID RELEASE NS BUCKET TOPIC""")
_INTEGERS = words_of("""port count replicas replica number lines tail pid limit revision timeout seconds minutes hours
    size n num days offset""")
_NAMES = words_of("""pod namespace ns node deployment deploy service svc container host hostname cluster release
    statefulset sts daemonset job cronjob name id instance app component pvc pv configmap ingress queue topic database
    db table bucket region zone replicaset""")
_INTEGER_FLAGS = words_of("--tail --replicas --lines --limit --port --revision --to-revision -c")
_VARIABLE = re.compile(r"^\$\{?(\w+)\}?$")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def placeholders_of(
    statement: Statement, verdict: Verdict, argv: Sequence[str] | None
) -> tuple[Placeholder, ...]:
    """Return what must be filled in before a statement can run, each once for each word it is in."""
    written = [word.text for word in statement.words]
    scripts = {written[at] for trait, at in verdict.traits if trait is Trait.SCRIPT}
    stand_ins = {written[at] for trait, at in verdict.traits if trait is Trait.STAND_IN}
    found = list(_in_words(written if argv is None else argv, scripts, stand_ins))
    for words in statement.filters:
        texts = [word.text for word in words]
        # The first plain word of a filter is what it looks for: an expression of its own.
        own = next((text for text in texts[1:] if not text.startswith("-")), "")
        signs = {own} if "$" not in own and "<" not in own else set()
        found.extend(
            Placeholder(hole.name, hole.text, AT_FILTER, hole.type)
            for hole in _in_words(texts, signs, ())
        )
    return tuple(dict.fromkeys(found))


def _in_words(
    words: Sequence[str], scripts: Collection[str], stand_ins: Collection[str]
) -> Iterator[Placeholder]:
    for at, word in enumerate(words):
        before = words[at - 1] if at else ""
        if word in scripts:
            continue
        if word in stand_ins:
            name = "pod" if re.search(r"pod(?:-name)?-?\d*$", word) else "name"
            yield Placeholder(name, word, at, HoleType.NAME)
            continue
        texts = (*holes_in(word), *(_in_capitals(word) if at else ()))
        for text in texts:
            name = name_of(text)
            if name:
                yield Placeholder(name, text, at, _type(name, word, before))


def _in_capitals(word: str) -> Iterable[str]:
    # SQL and sentences are written in capitals for reasons of their own.
    if re.search(r"\s", word):
        return
    for found in _UPPER.finditer(word):
        parts = found[0].split("_")
        named = parts[-1] in _NOUNS or parts[0] in ("YOUR", "MY")
        if found[0] in _ALONE or (len(parts) > 1 and named):
            yield found[0]


def name_of(hole: str) -> str:
    """Return the name of a placeholder in lower case: "pod_name" for ``<pod-name>``, ``$POD_NAME``."""
    variable = _VARIABLE.match(hole)
    bare = variable[1] if variable else hole.strip("<>[]{} ")
    return re.sub(r"[^a-z0-9]+", "_", _HUMP.sub("_", bare).lower()).strip("_")


def _type(name: str, word: str, before: str) -> HoleType:
    last = name.rpartition("_")[2]
    flag = word.partition("=")[0] if "=" in word else before
    if last in _INTEGERS or flag in _INTEGER_FLAGS:
        return HoleType.INTEGER
    return HoleType.NAME if last in _NAMES else HoleType.TEXT
