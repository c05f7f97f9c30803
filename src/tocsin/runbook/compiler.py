"""From documents to a policy: one process document, any number of others that inherit from it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from tocsin.base.source import Source
from tocsin.core.policy import (
    ChecklistItem,
    Finding,
    LedgerEntry,
    Level,
    Play,
    Policy,
    Severity,
)
from tocsin.runbook.alerts import routes_of
from tocsin.runbook.document import read_document
from tocsin.runbook.findings import CATALOGUE
from tocsin.runbook.headings import Meaning, meaning_of
from tocsin.runbook.levels import Scheme, mentioned_levels, scheme_of
from tocsin.runbook.reading import Reading
from tocsin.runbook.severity import Severities, read_severities


class Compiled(msgspec.Struct, frozen=True):
    """What documents compile to. Findings and ledger are in the order of files and lines."""

    policy: Policy
    findings: tuple[Finding, ...] = ()
    ledger: tuple[LedgerEntry, ...] = ()
    documents: dict[str, str] = {}

    @property
    def has_errors(self) -> bool:
        """Say whether the runbook must not come into force."""
        return any(finding.level is Level.ERROR for finding in self.findings)


def compile_runbook(documents: Mapping[str, str]) -> Compiled:
    """Compile Markdown texts, given by their paths. Any text compiles; nothing is raised."""
    readings = [Reading(read_document(file, documents[file])) for file in sorted(documents)]
    for reading in readings:
        reading.severities = read_severities(reading.document, reading.notes)
    main = _main(readings)
    scheme = _scheme(main, readings)
    for reading in readings:
        reading.read(scheme)
    policy = _policy(documents, readings, main, scheme)
    loose = _whole_findings(policy, readings)
    findings = sorted(
        (*loose, *(finding for reading in readings for finding in reading.notes.findings)),
        key=lambda f: (f.source.file, f.source.line, f.column, f.code),
    )
    ledger = tuple(entry for reading in readings for entry in reading.notes.ledger())
    return Compiled(policy, tuple(_without_repeats(findings)), ledger, dict(documents))


def _main(readings: Sequence[Reading]) -> Reading | None:
    """Return the process document: of those that declare levels, the one that decides most."""

    def weight(reading: Reading) -> int:
        about = {meaning_of(s.title.plain) for s in reading.document.root.walk() if s.level}
        return len(about - {None})

    declaring = [reading for reading in readings if reading.severities.levels]
    others = [reading for reading in readings if not reading.is_alert]
    return max(declaring or others, key=weight, default=None)


def _scheme(main: Reading | None, readings: Sequence[Reading]) -> Scheme:
    if main is not None and main.severities.levels:
        return main.severities.scheme
    for reading in readings:
        found = _mentioned(reading)
        if found is not None:
            return found
    return Scheme()


def _mentioned(reading: Reading) -> Scheme | None:
    """Take levels from escalation sections that use them without declaring them anywhere."""
    for section in reading.document.root.walk():
        if not section.level or meaning_of(section.title.plain) is not Meaning.ESCALATION:
            continue
        last = max((b.end for inner in section.walk() for b in inner.blocks), default=section.line)
        lines = range(section.line, min(last, len(reading.document.lines)) + 1)
        text = "\n".join(reading.document.lines[number - 1] for number in lines)
        declared = mentioned_levels(text)
        if len({d.key for d in declared}) >= 2:
            scheme = scheme_of(declared)
            line = next(n for n in lines if scheme.named_in(reading.document.lines[n - 1]))
            levels = tuple(
                Severity(d.level, "", rank, reading.notes.source(line))
                for rank, d in enumerate(scheme.levels)
            )
            reading.severities = Severities(scheme, levels)
            reading.notes.find(
                "T104",
                line,
                1,
                f"{', '.join(scheme.words)} are used here but declared nowhere.",
                "Add a section that says what deserves each level.",
            )
            return scheme
    return None


def _policy(
    documents: Mapping[str, str],
    readings: Sequence[Reading],
    main: Reading | None,
    scheme: Scheme,
) -> Policy:
    levels = next((r.severities.levels for r in readings if r.severities.scheme == scheme), ())
    title = main.document.title if main is not None else ""
    if not title and readings:
        title = readings[0].document.title or readings[0].document.file
    sources: list[ChecklistItem] = [item for r in readings for item in r.process.sources]
    plays = _with_own_names([play for r in readings for play in r.plays])
    return Policy(
        revision=_revision(documents),
        title=title,
        severities=levels,
        escalations=tuple(rule for r in readings for rule in r.escalations),
        communications=tuple(rule for r in readings for rule in r.communications),
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


def _whole_findings(policy: Policy, readings: Sequence[Reading]) -> list[Finding]:
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


def _without_repeats(findings: Iterable[Finding]) -> list[Finding]:
    return list(dict.fromkeys(findings))
