"""A compiled document in a few lines that a reviewer can hold against the document itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta

from tocsin.base.durations import say_duration
from tocsin.core.policy import Communication, EscalationRule, Play
from tocsin.runbook import Compiled


def summarise(compiled: Compiled) -> str:
    """Return the summary, ending in a newline. It is the same for the same compiled document."""
    return "\n".join(_lines(compiled)) + "\n"


def _lines(compiled: Compiled) -> Iterator[str]:
    policy = compiled.policy
    for level in policy.severities:
        yield f"level {level.level} line {level.source.line}, {len(level.criteria)} criteria"
    for rule in policy.escalations:
        yield _rung(rule)
    for told in policy.communications:
        yield _told(told)
    for stage in policy.checklists:
        yield f"checklist line {stage.source.line}, {len(stage.items)} items"
    if policy.sources:
        yield f"sources {_numbers(item.source.line for item in policy.sources)}"
    for play in policy.plays:
        yield _play(play)
    if policy.postmortem is not None:
        sections = _numbers(s.source.line for s in policy.postmortem.sections)
        actions = len(policy.postmortem.action_items)
        yield f"post-mortem sections {sections or '-'}, {actions} action items"
    kinds = [c.kind.value for p in policy.plays for step in p.steps for c in step.commands]
    yield f"commands {_counts(kinds)}"
    yield f"findings {_counts(finding.code for finding in compiled.findings)}"
    yield f"ledger {_counts(entry.status.value for entry in compiled.ledger)}"


def _rung(rule: EscalationRule) -> str:
    after = say_duration(timedelta(seconds=rule.after_s)) if rule.after_s else "at once"
    levels = ",".join(rule.severity) or "-"
    event = f" on {rule.condition.value}" if rule.condition else ""
    nobody = ", nobody new" if rule.reaches_nobody_new else ""
    return (
        f"rung line {rule.source.line}: {levels} {rule.clock.value} {after}{event}"
        f" {rule.urgency.value} {'; '.join(rule.to)}{nobody}"
    )


def _told(rule: Communication) -> str:
    parts = [f"told line {rule.source.line}: {rule.channel}"]
    if rule.target is not None:
        parts.append(rule.target)
    parts.append(",".join(rule.severity) or "-")
    if rule.cadence_s is not None:
        parts.append(f"every {say_duration(timedelta(seconds=rule.cadence_s))}")
    if rule.external:
        parts.append("external")
    if rule.approval:
        parts.append("approval")
    if rule.unknown_filter is not None:
        parts.append("unknown filter")
    return " ".join(parts)


def _play(play: Play) -> str:
    steps = _counts(step.kind.value for step in play.steps)
    level = f" {play.severity}" if play.severity else ""
    alerts = f", {len(play.alert)} alerts" if play.alert else ""
    return f"play line {play.source.line}{level}: {len(play.symptoms)} symptoms, {steps}{alerts}"


def _counts(words: Iterable[str]) -> str:
    return ", ".join(f"{word} {n}" for word, n in sorted(Counter(words).items())) or "none"


def _numbers(lines: Iterable[int]) -> str:
    return " ".join(str(line) for line in lines)
