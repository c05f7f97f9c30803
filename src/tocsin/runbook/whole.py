"""All documents of a runbook together: which of them decides what, and what is missing as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import msgspec

from tocsin.base.source import Source
from tocsin.core.policy import Finding, LedgerEntry, LineStatus, Play, Policy
from tocsin.runbook.alerts import routes_of
from tocsin.runbook.findings import CATALOGUE
from tocsin.runbook.levels import Scheme
from tocsin.runbook.reading import Reading

_NOT_IN_FORCE = "rule of a document that is not in force"


class Ruling(msgspec.Struct, frozen=True):
    """Which documents decide: one for whom an incident reaches, one for whom it is told to."""

    climbs: Reading | None
    tells: Reading | None

    def overruled(self, reading: Reading) -> dict[int, str]:
        """Return the lines of a document whose rules do not hold, with what each is about."""
        lines: dict[int, str] = {}
        if reading is not self.climbs:
            lines |= {r.source.line: "escalation" for r in reading.escalations if r.severity}
        if reading is not self.tells:
            lines |= {rule.source.line: "communication" for rule in reading.communications}
        return lines


def ruling_of(readings: Sequence[Reading], main: Reading | None) -> Ruling:
    """Choose the process document where it has such rules, else the document that has most."""

    def chosen(counts: Sequence[int]) -> Reading | None:
        by_count = sorted(zip(counts, readings, strict=True), key=lambda pair: -pair[0])
        if main is not None and counts[readings.index(main)]:
            return main
        return by_count[0][1] if by_count and by_count[0][0] else None

    return Ruling(
        chosen([len(r.escalations) for r in readings]),
        chosen([len(r.communications) for r in readings]),
    )


def policy_of(
    documents: Mapping[str, str],
    readings: Sequence[Reading],
    main: Reading | None,
    scheme: Scheme,
    ruling: Ruling,
) -> Policy:
    """Put together what the documents decide. Scenarios and checklists come from all of them."""
    levels = next((r.severities.levels for r in readings if r.severities.scheme == scheme), ())
    title = main.document.title if main is not None else ""
    if not title and readings:
        title = readings[0].document.title or readings[0].document.file
    sources = [item for r in readings for item in r.process.sources]
    plays = _with_own_names([play for r in readings for play in r.plays])
    return Policy(
        revision=_revision(documents),
        title=title,
        severities=levels,
        escalations=tuple(
            rule
            for r in readings
            for rule in r.escalations
            if r is ruling.climbs or not rule.severity
        ),
        communications=tuple(ruling.tells.communications) if ruling.tells else (),
        checklists=tuple(c for r in readings for c in r.process.checklists),
        sources=tuple(sources),
        plays=plays,
        postmortem=next((r.postmortem for r in readings if r.postmortem is not None), None),
        alerts=routes_of(plays),
    )


def _with_own_names(plays: Sequence[Play]) -> tuple[Play, ...]:
    """Return the plays with names that tell them apart: of two alike the second names its place."""
    taken: set[str] = set()
    named: list[Play] = []
    for play in plays:
        name = play.name
        if name in taken:
            name = f"{play.name} ({play.source.file.rsplit('/', 1)[-1]})"
        if name in taken:
            name = f"{play.name} ({play.source})"
        taken.add(name)
        named.append(play if name == play.name else msgspec.structs.replace(play, name=name))
    return tuple(named)


def _revision(documents: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for file in sorted(documents):
        text = documents[file].encode("utf-8", "surrogatepass")
        digest.update(f"{len(text)}\n".encode())
        digest.update(text)
    return digest.hexdigest()


def whole_findings(policy: Policy, readings: Sequence[Reading]) -> list[Finding]:
    """Report what is wrong with the runbook as a whole, at the top of its first document."""
    file = readings[0].document.file if readings else ""
    top = Source(file, 1)
    if readings:
        main = next((r for r in readings if r.document.title == policy.title), readings[0])
        title = main.document.title_section
        top = main.notes.source(title.line if title else 1)

    def finding(code: str, message: str, remedy: str) -> Finding:
        return Finding(code, CATALOGUE[code][0], top, 1, message, remedy)

    if not any(text.strip() for r in readings for text in r.document.lines):
        return [
            finding("T150", "There is nothing to read.", "Write a runbook; `tocsin init` does.")
        ]
    found: list[Finding] = []
    is_alerts_only = bool(policy.plays) and all(r.is_alert for r in readings)
    if not policy.severities and not policy.escalations:
        if any(r.is_alert for r in readings):
            found.append(
                finding(
                    "T105",
                    "These documents explain alerts and say nobody to page; the on-call engineer is.",
                    "Add a process document with severity levels and an escalation path.",
                )
            )
        else:
            found.append(
                finding(
                    "T100",
                    "Neither severity levels nor an escalation path were found; nothing could run.",
                    "Add a section \u201cSeverity levels\u201d and a section \u201cEscalation\u201d.",
                )
            )
    elif not policy.escalations:
        found.append(
            finding(
                "T105",
                "No escalation rule was found: the on-call engineer is paged at the start, nobody after.",
                "Add a section \u201cEscalation\u201d that begins with who responds first.",
            )
        )
    if policy.postmortem is None and not is_alerts_only and policy.escalations:
        found.append(
            finding(
                "T160",
                "There is no post-mortem template; Tocsin uses its own.",
                "Add a section \u201cPost-mortem template\u201d with the questions you ask.",
            )
        )
    return found


def overruled_findings(reading: Reading, ruling: Ruling) -> list[Finding]:
    """Report, once a document, that another one decides instead."""
    found: list[Finding] = []
    lines = ruling.overruled(reading)
    for about, other in (("escalation", ruling.climbs), ("communication", ruling.tells)):
        line = min((n for n, what in lines.items() if what == about), default=0)
        if line and other is not None:
            found.append(
                Finding(
                    "T133",
                    CATALOGUE["T133"][0],
                    reading.notes.source(line),
                    1,
                    f"{other.document.file} decides the {about}; the rules of this document do not"
                    " hold.",
                    "Keep the rules for all incidents in one document.",
                )
            )
    return found


def ledger_of(reading: Reading, ruling: Ruling) -> tuple[LedgerEntry, ...]:
    """Return a document's account, with the rules that another document overrules."""
    overruled = ruling.overruled(reading)
    if not overruled:
        return reading.ledger
    replace = msgspec.structs.replace
    return tuple(
        replace(entry, status=LineStatus.UNSUPPORTED, rule=_NOT_IN_FORCE)
        if entry.line in overruled
        else entry
        for entry in reading.ledger
    )
