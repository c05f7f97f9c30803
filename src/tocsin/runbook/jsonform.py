"""The compiled runbook as plain JSON values: what ``tocsin compile`` prints."""

from __future__ import annotations

from typing import Any

from tocsin.base.source import Source
from tocsin.core.policy import (
    ChecklistItem,
    Command,
    Communication,
    Criterion,
    EscalationRule,
    Finding,
    Play,
    Postmortem,
    PostmortemPrompt,
    Severity,
    Step,
    Symptom,
)
from tocsin.runbook.compiler import Compiled

Json = dict[str, Any]


def to_json(compiled: Compiled) -> Json:
    """Return policy, plays and ledger; every rule says its file and line."""
    policy = compiled.policy
    return {
        "revision": policy.revision,
        "title": policy.title,
        "severities": [_severity(severity) for severity in policy.severities],
        "escalations": [_escalation(rule) for rule in policy.escalations],
        "communications": [_communication(rule) for rule in policy.communications],
        "checklists": [
            {"title": c.title, "items": [_text(item) for item in c.items], **_place(c.source)}
            for c in policy.checklists
        ],
        "sources": [_text(item) for item in policy.sources],
        "plays": [_play(play) for play in policy.plays],
        "alerts": [
            {"alert": a.alert, "play": a.play, "because": a.because, **_place(a.source)}
            for a in policy.alerts
        ],
        "postmortem": _postmortem(policy.postmortem),
        "ledger": [
            {"file": e.file, "line": e.line, "status": e.status.value, "rule": e.rule}
            for e in compiled.ledger
        ],
    }


def finding_to_json(finding: Finding) -> Json:
    """Return one finding as ``tocsin check --format json`` prints it."""
    return {
        "code": finding.code,
        "level": finding.level.value,
        "file": finding.source.file,
        "line": finding.source.line,
        "column": finding.column,
        "end_column": finding.end_column,
        "message": finding.message,
        "remedy": finding.remedy,
    }


def _place(source: Source) -> Json:
    return {"file": source.file, "line": source.line}


def _text(item: ChecklistItem | Criterion | Symptom | PostmortemPrompt) -> Json:
    return {"text": item.text, **_place(item.source)}


def _severity(severity: Severity) -> Json:
    return {
        "level": severity.level,
        "name": severity.name,
        "rank": severity.rank,
        "criteria": [_text(criterion) for criterion in severity.criteria],
        **_place(severity.source),
    }


def _escalation(rule: EscalationRule) -> Json:
    return {
        "severity": list(rule.severity),
        "clock": rule.clock.value,
        "after_s": rule.after_s,
        "to": list(rule.to),
        "urgency": rule.urgency.value,
        "condition": rule.condition.value if rule.condition else None,
        "reaches_nobody_new": rule.reaches_nobody_new,
        **_place(rule.source),
    }


def _communication(rule: Communication) -> Json:
    return {
        "channel": rule.channel,
        "target": rule.target,
        "severity": list(rule.severity),
        "cadence_s": rule.cadence_s,
        "external": rule.external,
        "approval": rule.approval,
        "unknown_filter": rule.unknown_filter,
        **_place(rule.source),
    }


def _play(play: Play) -> Json:
    return {
        "name": play.name,
        "severity": play.severity,
        "alerts": list(play.alert),
        "symptoms": [_text(symptom) for symptom in play.symptoms],
        "steps": [_step(step) for step in play.steps],
        **_place(play.source),
    }


def _step(step: Step) -> Json:
    return {
        "text": step.text,
        "kind": step.kind.value,
        "condition": step.condition,
        "query": step.query,
        "approval": step.approval,
        "undo": step.undo,
        "verification": step.verification,
        "commands": [_command(command) for command in step.commands],
        **_place(step.source),
    }


def _command(command: Command) -> Json:
    return {
        "argv": list(command.argv) if command.argv is not None else None,
        "text": command.text,
        "class": command.kind.value,
        "why": command.why,
        **_place(command.source),
    }


def _postmortem(postmortem: Postmortem | None) -> Json | None:
    if postmortem is None:
        return None
    return {
        "sections": [
            {"title": s.title, "prompts": [_text(p) for p in s.prompts], **_place(s.source)}
            for s in postmortem.sections
        ],
        "action_items": [_text(item) for item in postmortem.action_items],
        **(_place(postmortem.source) if postmortem.source else {"file": None, "line": None}),
    }
