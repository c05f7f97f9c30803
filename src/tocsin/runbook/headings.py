"""What a heading means, by its words and never by its place."""

from __future__ import annotations

import re
from enum import StrEnum

from tocsin.runbook.annotations import front_alerts
from tocsin.runbook.document import Document
from tocsin.runbook.fields import alert_field, fields_of, is_alert_name


class Meaning(StrEnum):
    """What a section is about."""

    SEVERITY = "severity"
    ESCALATION = "escalation"
    COMMUNICATION = "communication"
    PROCESS = "process"
    SCENARIOS = "scenarios"
    POSTMORTEM = "post-mortem"
    PROCEDURES = "procedures"


class Part(StrEnum):
    """What a part of a scenario is about."""

    SYMPTOMS = "symptoms"
    STEPS = "steps"
    COMMANDS = "commands"
    CHECKS = "checks"
    BACKGROUND = "background"


_MEANINGS: tuple[tuple[Meaning, re.Pattern[str]], ...] = tuple(
    (meaning, re.compile(pattern, re.IGNORECASE))
    for meaning, pattern in (
        (
            Meaning.POSTMORTEM,
            r"post[- ]?mortem|post[- ]?incident|retrospective|after[- ]action|lessons learn"
            r"|blameless|\bafterwards?\b.*\b(write|review|learn)|incident review|write-?up",
        ),
        (
            Meaning.ESCALATION,
            r"escalat|chain of command|who (?:to|do we|we|is|gets?) (?:call|page|wake|paged|woken)"
            r"|when to (?:call|page|wake)|\bpaging\b|climb|calling (?:people|for help)|call (?:tree|list|order)",
        ),
        (
            Meaning.SEVERITY,
            r"severit(?!y.*\bsteps)|priority (?:level|class|matrix|definition)|priorities"
            r"|incident (?:level|class|priorit|grade)|classif|\bgrad(?:e|es|ing)\b|how bad",
        ),
        (
            Meaning.COMMUNICATION,
            r"communicat|notification|status updates?\b|who (?:hears|is told|gets told|to tell|we tell)"
            r"|stakeholder|keeping .*informed|announce|telling people|status ?page(?!s)"
            r"|(?:message|e-?mail|update|announcement|slack) templates?",
        ),
        (
            Meaning.SCENARIOS,
            r"scenario|common (?:incident|issue|problem|failure|alert)|known (?:incident|issue|problem|failure)"
            r"|^(?!.*\b(?:how|using|use|about|other|all|across|list|index|overview|summar\w+)\b)(?:\W*\w+){0,3}\W*"
            r"\b(?:plays|playbooks|runbooks)\W*$|failure modes|troubleshoot"
            r"|what (?:usually|typically|tends to) (?:break|go)",
        ),
        (
            Meaning.PROCESS,
            r"process\b|life[- ]?cycle|workflow|\bphases\b|\bstages\b"
            r"|response (?:plan|steps|procedure|flow|phases|checklist|guide)|course of an incident"
            r"|(?:working|running|handling) an incident|(?:initial|first|immediate|general incident)"
            r" (?:response|responder|actions?|assessment|triage|steps?)\b|^\W*(?:\d+[.)]\s*)?triage\W*$"
            r"|(?:commander|responder|lead|response|incident|triage)(?:'s)? checklist"
            r"|first (?:\d+|five|ten|fifteen) minutes",
        ),
        (
            Meaning.PROCEDURES,
            r"\b(?:roll-?back|recovery|restor\w+|fail-?over|emergency|containment|mitigation|remediation"
            r"|rotation|incident|response|compromise|vulnerability|outage|operational|manual)\s+"
            r"(?:procedures?|operations|actions|responses?)\b",
        ),
    )
)
_POINTING = re.compile(
    r"^\W*(?:related|see also|further|useful|references?|links?|table of contents|contents|appendix"
    r"|quick (?:links|reference))\b",
    re.IGNORECASE,
)
_BY_SEVERITY = re.compile(r"\b(?:by|per|for each) (?:severity|priority|level)", re.IGNORECASE)
_PARTS: tuple[tuple[Part, re.Pattern[str]], ...] = tuple(
    (part, re.compile(pattern, re.IGNORECASE))
    for part, pattern in (
        (
            Part.SYMPTOMS,
            r"symptom|indicator|\bsigns?\b|detect|how (?:it|you) (?:shows|notice|see)|what you see"
            r"|\bmeaning\b|(?:it|alert|this) means\b|looks like|trigger|alert condition|you will see",
        ),
        (Part.CHECKS, r"verif|confirm|validat|post[- ]?check|is it fixed|proof"),
        (Part.COMMANDS, r"command|at the terminal|in the shell|cheat ?sheet"),
        (
            Part.STEPS,
            r"response|respond|\bsteps?\b|\bactions?\b|resol|mitigat|diagnos|investigat|recover"
            r"|\bfix|remed|procedure|troubleshoot|triage|immediate|what to do|workaround|rollback"
            r"|first aid|\bdo this\b|containment|eradication",
        ),
        (
            Part.BACKGROUND,
            r"impact|cause|prevent|escalat|note|reference|related|context|background",
        ),
    )
)
_ALERT_PARTS = ("meaning", "impact", "diagnosis", "mitigation")
_ALERT_LIKES = tuple(
    re.compile(rf"^(?:\d+[.)]\s*)?(?:{words})\W*$")
    for words in (
        r"meaning|what (?:it|this(?: alert)?) means|symptoms?|alert description",
        r"(?:user |customer |business )?impact",
        r"diagnos(?:is|tics?)|investigation|triage|troubleshooting|debugging",
        r"mitigation|resolution|remediation|recovery|fix(?:es)?|how to fix(?: it)?|solution",
    )
)
_OF_PROCESSES = {Meaning.SEVERITY, Meaning.COMMUNICATION, Meaning.POSTMORTEM}
_PROCESS_TITLE = re.compile(
    r"\bincident (?:response|management|handling|process)|\bon-?call\b|\bescalation\b",
    re.IGNORECASE,
)


def meaning_of(heading: str) -> Meaning | None:
    """Return what a section of this heading is about, or None when the words do not say."""
    if _POINTING.search(heading):
        return None
    for meaning, pattern in _MEANINGS:
        if pattern.search(heading):
            if meaning is Meaning.SEVERITY and _BY_SEVERITY.search(heading):
                continue
            return meaning
    return None


def part_of(label: str) -> Part | None:
    """Return what a part of a scenario under this label or heading is, or None."""
    return next((part for part, pattern in _PARTS if pattern.search(label)), None)


def is_alert_document(document: Document) -> bool:
    """Say whether a document explains one alert or one failure.

    It does with two of the four usual headings (Meaning, Impact, Diagnosis, Mitigation) or of their
    like, when it goes from symptoms to what to do, under a title that is the name of an alert, or by
    what a field or the front matter says; and never when it tells of severity levels, of communication or of reviews as well.
    """
    words = [s.title.plain.strip().casefold() for s in document.top_sections]
    if front_alerts(document):
        return True
    if sum(part in words for part in _ALERT_PARTS) >= 2:
        return True
    title = document.title_section
    fields = fields_of((*document.root.blocks, *(title.blocks if title else ())))
    if any((found := alert_field(field)) and found.names for field in fields):
        return True
    if title is not None and is_alert_name(title.title.plain.strip()):
        return True
    if title is not None and _PROCESS_TITLE.search(title.title.plain):
        return False
    if _OF_PROCESSES & {meaning_of(word) for word in words}:
        return False
    if sum(any(like.search(word) for word in words) for like in _ALERT_LIKES) >= 2:
        return True
    acts = any(part_of(word) is Part.STEPS for word in words)
    return acts and any(word.startswith("symptom") for word in words)
