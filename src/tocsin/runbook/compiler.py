"""From documents to a policy: one process document, any number of others that inherit from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from tocsin.core.policy import Finding, LedgerEntry, Level, Policy, Severity
from tocsin.runbook.document import Document, Section, Table, read_document
from tocsin.runbook.escalation_tables import speaks_of_escalation
from tocsin.runbook.headings import Meaning, meaning_of
from tocsin.runbook.levels import Scheme, mentioned_levels, scheme_of
from tocsin.runbook.links import dead_anchors
from tocsin.runbook.reading import Reading
from tocsin.runbook.severity import Severities
from tocsin.runbook.whole import (
    ledger_of,
    overruled_findings,
    policy_of,
    ruling_of,
    whole_findings,
)


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
    return Compiler().compile(documents)


class Compiler:
    """Compiles a runbook again and again, and reads anew only the documents that have changed.

    What it returns is what ``compile_runbook`` returns for the same documents.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, Reading]] = {}

    def parsed(self, file: str, text: str) -> Document:
        """Return a document as it was read last, or read it now if it was not, or has changed."""
        kept = self._kept.get(file)
        return kept[1].parsed if kept is not None and kept[0] == text else read_document(file, text)

    def compile(self, documents: Mapping[str, str]) -> Compiled:
        """Compile Markdown texts, given by their paths."""
        readings = [self._begun(file, documents[file]) for file in sorted(documents)]
        at = _main(readings)
        scheme, mention = _scheme(readings, at)
        for index, reading in enumerate(readings):
            if mention is not None and mention.index == index:
                readings[index] = Reading(reading.parsed)
                mention.tell(readings[index])
            elif not reading.is_open_to(scheme):
                readings[index] = Reading(reading.parsed)
            readings[index].read(scheme)
        self._kept = {
            reading.document.file: (documents[reading.document.file], reading)
            for index, reading in enumerate(readings)
            if mention is None or mention.index != index
        }
        return _together(documents, readings, None if at is None else readings[at], scheme)

    def _begun(self, file: str, text: str) -> Reading:
        kept = self._kept.get(file)
        if kept is not None and kept[0] == text:
            return kept[1]
        return Reading(read_document(file, text))


class _Mention(msgspec.Struct, frozen=True):
    """Levels that no document declares, found in the escalation of one; ``line`` uses the first."""

    index: int
    scheme: Scheme
    line: int

    def tell(self, reading: Reading) -> None:
        """Let the document declare them, and say that it does not."""
        levels = tuple(
            Severity(d.level, "", rank, reading.notes.source(self.line))
            for rank, d in enumerate(self.scheme.levels)
        )
        reading.severities = Severities(self.scheme, levels)
        reading.notes.find(
            "T104",
            self.line,
            1,
            f"{', '.join(self.scheme.words)} are used here but declared nowhere.",
            "Add a section that says what deserves each level.",
        )


def _main(readings: Sequence[Reading]) -> int | None:
    """Return the place of the process document: of those with levels, the one that decides most."""
    declaring = [i for i, reading in enumerate(readings) if reading.severities.levels]
    others = [i for i, reading in enumerate(readings) if not reading.is_alert]
    return max(declaring or others, key=lambda i: readings[i].weight, default=None)


def _scheme(readings: Sequence[Reading], main: int | None) -> tuple[Scheme, _Mention | None]:
    if main is not None and readings[main].severities.levels:
        return readings[main].severities.scheme, None
    for index, reading in enumerate(readings):
        found = _mentioned(index, reading)
        if found is not None:
            return found.scheme, found
    return Scheme(), None


def _is_about_escalation(section: Section) -> bool:
    if meaning_of(section.title.plain) is Meaning.ESCALATION:
        return True
    return any(isinstance(block, Table) and speaks_of_escalation(block) for block in section.blocks)


def _mentioned(index: int, reading: Reading) -> _Mention | None:
    """Take levels from escalation sections that use them without declaring them anywhere."""
    for section in reading.document.root.walk():
        if not section.level or not _is_about_escalation(section):
            continue
        last = max((b.end for inner in section.walk() for b in inner.blocks), default=section.line)
        lines = range(section.line, min(last, len(reading.document.lines)) + 1)
        text = "\n".join(reading.document.lines[number - 1] for number in lines)
        is_title = section is reading.document.title_section
        declared = mentioned_levels(text, words=not is_title)
        if len({d.key for d in declared}) >= 2:
            scheme = scheme_of(declared)
            at = (n for n in lines if scheme.named_in(reading.document.lines[n - 1]))
            line = next(at, section.line)
            return _Mention(index, scheme, line)
    return None


def _together(
    documents: Mapping[str, str],
    readings: Sequence[Reading],
    main: Reading | None,
    scheme: Scheme,
) -> Compiled:
    ruling = ruling_of(readings, main)
    policy = policy_of(documents, readings, main, scheme, ruling)
    loose = [*whole_findings(policy, readings), *dead_anchors([r.linked for r in readings])]
    for reading in readings:
        loose.extend(overruled_findings(reading, ruling))
        loose.extend(reading.notes.findings)
    findings = sorted(loose, key=lambda f: (f.source.file, f.source.line, f.column, f.code))
    ledger = tuple(entry for reading in readings for entry in ledger_of(reading, ruling))
    return Compiled(policy, tuple(dict.fromkeys(findings)), ledger, dict(documents))
