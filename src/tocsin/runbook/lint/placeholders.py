"""Placeholders that nothing fills: no label of an alert, and no line of the document."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tocsin.base.source import Source
from tocsin.core.policy import Command, Policy
from tocsin.runbook.lint.known import Known
from tocsin.runbook.lint.pen import Pen, lines_said
from tocsin.runbook.shell import holes_in
from tocsin.runbook.wordlists import words as words_of

_CODE = "T172"
_EDGE = re.compile(r"[^a-z0-9]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# What exporters and orchestrators label alerts with. A name matches by its last words, so that
# "my-pod", "pod_name" and "POD" are all the label pod.
_LABELS = words_of("""alertname severity priority namespace ns pod node instance host hostname ip container service svc
    app application component deployment deploy daemonset statefulset sts replicaset job cronjob
    cluster region zone env environment stage tenant team device mountpoint disk volume
    persistentvolumeclaim persistentvolume pvc pv endpoint port target queue topic partition
    consumer group consumergroup database db datname schema table index shard bucket release chart
    ingress route method path code status user_agent interface le job_name exporter project
    workload resource kind name image version""")
_FILLERS = words_of("""name id my your the affected failing failed broken of a an label value
    from alert specific target this some that here""")
_SETTING = re.compile(r"_(?:URL|URI|DSN|TOKEN|KEY|SECRET|PASSWORD|PASS|CREDENTIALS)\b")
# A command that is continued over lines is written in one text; its lines are looked through.
_BREAKS_MAX = 12
_SHELLS_OWN = words_of("home user pwd path shell hostname lang term tmpdir editor nf nr ip random")


def check_placeholders(policy: Policy, known: Known, pen: Pen) -> set[tuple[str, int]]:
    """Report, once a document, each placeholder that no label of an alert has a value for.

    A variable that the document itself sets is none of them, nor is one that every shell has.
    Returns the files and lines of all commands that wait for one.
    """
    labels = set(_LABELS) | {label.casefold() for label in known.tuning.service_labels}
    for alert in known.alerts or ():
        labels.update(label.casefold() for label in alert.labels)
    set_in: dict[str, frozenset[str]] = {}
    places: dict[tuple[str, str], list[Source]] = {}
    written: dict[tuple[str, str], str] = {}
    for command in _commands(policy):
        file = command.source.file
        if file not in set_in:
            set_in[file] = _variables_set(pen.texts.whole(file))
        for hole, name in _holes(command):
            bare = _bare(hole)
            if is_filled(hole, labels) or is_filled(name, labels) or bare in set_in[file]:
                continue
            places.setdefault((file, bare), []).append(_place(command, hole, pen))
            written.setdefault((file, bare), hole)
    for key, sources in places.items():
        _report(written[key], sources, pen)
    return {(source.file, source.line) for sources in places.values() for source in sources}


def _report(hole: str, sources: list[Source], pen: Pen) -> None:
    others = sorted({source.line for source in sources} - {sources[0].line})
    again = f" It is needed in {lines_said(others)} as well." if others else ""
    told = "Say where the value comes from, or name it after a label that your alerts carry."
    if _SETTING.search(hole):
        told = "Say where the value is kept; commands are given no environment of a person."
    pen.find(
        _CODE,
        sources[0],
        hole,
        f"No label of an alert fills {hole}: a person must look it up.{again}",
        told,
    )


def _place(command: Command, hole: str, pen: Pen) -> Source:
    """Return the line of a command of several lines on which a placeholder stands."""
    lines = pen.texts.lines(command.source.file)
    first = command.source.line
    for number in range(first, min(len(lines), first + command.text.count("\n") + _BREAKS_MAX) + 1):
        if hole in lines[number - 1]:
            return Source(command.source.file, number, lines[number - 1].strip())
    return command.source


def is_filled(hole: str, labels: set[str]) -> bool:
    """Say whether a label has the value: ``<my-pod>``, ``$POD_NAME`` and ``{{pod}}`` are pod."""
    words = [w for w in _EDGE.split(_HUMP.sub("_", _bare(hole)).casefold()) if w]
    kept = [word for word in words if word not in _FILLERS] or words
    if not kept:
        return True
    joined = {"_".join(kept), "".join(kept)}
    return bool(joined & labels) or kept[-1] in labels


def _holes(command: Command) -> Iterable[tuple[str, str]]:
    """Yield the placeholders of a command as written, each with its name."""
    if command.placeholders:
        return ((hole.text, hole.name) for hole in command.placeholders)
    # What curl writes out ("%{time_total}") is asked for, not filled in.
    found = holes_in(command.text)
    return ((hole, hole) for hole in found if f"%{hole}" not in command.text)


def _bare(hole: str) -> str:
    return hole.strip("${}<>[] ")


def _commands(policy: Policy) -> Iterable[Command]:
    for play in policy.plays:
        for step in play.steps:
            yield from (c for c in step.commands if c.argv is not None)


_SETS = re.compile(
    r"(?:^|[\s;&|(`])(?:export\s+|local\s+|read\s+(?:-\w+\s+)*|for\s+)?(?P<name>[A-Za-z_]\w*)(?==|\s+in\s)"
    r"|\bread\s+(?:-\w+\s+)*(?P<read>[A-Za-z_]\w*)"
    r"|(?:^|[\s;&|(`])export\s+(?P<export>[A-Za-z_]\w*)",
    re.MULTILINE,
)


def _variables_set(text: str) -> frozenset[str]:
    found = {m["name"] or m["read"] or m["export"] for m in _SETS.finditer(text)}
    own = {name for word in _SHELLS_OWN for name in (word, word.upper())}
    return frozenset(found | own)
