"""One document on its way to a policy: every section given to the reader of what it is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

import msgspec

from tocsin.core.policy import (
    Communication,
    EscalationRule,
    LedgerEntry,
    LineStatus,
    Play,
    Postmortem,
)
from tocsin.runbook.annotations import is_annotation
from tocsin.runbook.communication import read_communications
from tocsin.runbook.document import Block, Document, Fence, Listing, Other, Section
from tocsin.runbook.escalation import (
    read_escalation,
    read_escalation_matrices,
    read_escalation_tables,
    read_level_escalation,
)
from tocsin.runbook.headings import Meaning, is_alert_document, meaning_of
from tocsin.runbook.ladder import Ladder
from tocsin.runbook.levels import Scheme
from tocsin.runbook.links import Linked, linked
from tocsin.runbook.notes import Notes
from tocsin.runbook.postmortem import read_postmortem
from tocsin.runbook.process import Process, read_process, read_stage
from tocsin.runbook.promises import read_promises
from tocsin.runbook.pseudo import with_pseudo_headings
from tocsin.runbook.scenarios import (
    has_commands,
    is_scenario,
    names_alert,
    read_alert_document,
    read_procedures,
    read_scenario,
    read_scenarios,
)
from tocsin.runbook.settling import settle
from tocsin.runbook.severity import read_severities
from tocsin.runbook.trials import without_trials

# A title can be the only heading of what it is about.
_OF_ITSELF = (Meaning.ESCALATION, Meaning.COMMUNICATION)


class Reading:
    """One document on its way."""

    def __init__(self, document: Document) -> None:
        self.parsed = document
        plain, self._trials = without_trials(document)
        self.document = with_pseudo_headings(plain)
        self.notes = Notes(self.document)
        for trial in self._trials:
            self.notes.mark_block(trial, LineStatus.AUTOMATED, "test of this runbook")
        self.severities = read_severities(self.document, self.notes)
        self.in_force = True
        self.escalations: tuple[EscalationRule, ...] = ()
        self.communications: list[Communication] = []
        self.plays: list[Play] = []
        self.process = Process()
        self.postmortem: Postmortem | None = None
        self._ladder = Ladder()
        self._scheme: Scheme = Scheme()
        self._is_read = False

    @cached_property
    def is_alert(self) -> bool:
        """Say whether the document explains one alert, and decides nothing for the others."""
        return is_alert_document(self.document)

    @cached_property
    def weight(self) -> int:
        """Return about how many kinds of rules the document speaks."""
        about = {meaning_of(s.title.plain) for s in self.document.root.walk() if s.level}
        return len(about - {None})

    @cached_property
    def linked(self) -> Linked:
        """Return what the document offers to links, and where its own lead."""
        return linked(self.document)

    @cached_property
    def ledger(self) -> tuple[LedgerEntry, ...]:
        """Return the account of all lines. Only to be asked for once the document is read."""
        return self.notes.ledger()

    def is_open_to(self, scheme: Scheme) -> bool:
        """Say whether the document is still to be read, or has been read by these levels."""
        return not self._is_read or self._scheme == scheme

    def read(self, scheme: Scheme) -> None:
        """Read all sections by the levels that are in force; a second time changes nothing."""
        if self._is_read:
            return
        self._scheme, self._is_read = scheme, True
        if self.severities.levels and self.severities.scheme.keys != scheme.keys:
            self._step_back(scheme)
        if self.is_alert:
            play = read_alert_document(self.document, scheme, self.notes)
            if play is not None:
                self.plays.append(play)
        else:
            for section in self._sections():
                self._visit(section)
            self._late_postmortem()
        if self.in_force:
            self.escalations = settle(self._ladder, scheme, self.notes)
        self._leftovers()

    def _sections(self) -> tuple[Section, ...]:
        """Return what is to be visited: the sections, or the whole where only the title speaks."""
        tops, title = self.document.top_sections, self.document.title_section
        if title is None or title is self.severities.section:
            return tops
        if any(meaning_of(section.title.plain) for section in tops):
            return tops
        meaning = meaning_of(title.title.plain)
        if meaning is Meaning.SCENARIOS:
            acts = sum(is_scenario(section) or has_commands(section) for section in tops)
            return (title,) if 2 * acts > len(tops) else tops
        return (title,) if meaning in _OF_ITSELF else tops

    def _visit(self, section: Section) -> None:
        meaning = meaning_of(section.title.plain)
        if names_alert(section) and is_scenario(section):
            # "HighNotificationLatency" is an alert, whatever its words are about.
            meaning = None
        if section is self.severities.section:
            if self.in_force:
                read_level_escalation(section, self._scheme, self._ladder, self.notes)
            self._below_severity(section)
            self.communications.extend(read_promises(section, self._scheme, self.notes))
        elif meaning is Meaning.ESCALATION and self.in_force:
            read_escalation(section, self._scheme, self._ladder, self.notes)
        elif meaning is Meaning.COMMUNICATION and self.in_force:
            self._communication(section)
        elif meaning is Meaning.POSTMORTEM:
            self._postmortem(section)
        elif meaning is Meaning.SCENARIOS:
            self.plays.extend(read_scenarios(section, self._scheme, self.notes))
        elif meaning is Meaning.PROCESS:
            self._process(section)
        else:
            self._without_meaning(section, meaning)

    def _without_meaning(self, section: Section, meaning: Meaning | None) -> None:
        if is_scenario(section):
            play = read_scenario(section, self._scheme, self.notes)
            if play is not None:
                self.plays.append(play)
        elif meaning is Meaning.PROCEDURES:
            self.plays.extend(read_procedures(section, self._scheme, self.notes))
        else:
            if self.in_force:
                read_escalation_tables(section, self._scheme, self._ladder, self.notes)
            for inner in section.sections:
                self._visit(inner)

    def _communication(self, section: Section) -> None:
        """Read who is told; an escalation that stands below it is still one."""
        inner = section.sections
        climbs = [s for s in inner if meaning_of(s.title.plain) is Meaning.ESCALATION]
        told = msgspec.structs.replace(section, sections=tuple(s for s in inner if s not in climbs))
        read = read_communications(told, self._scheme, self.notes)
        self.communications.extend(read.rules)
        self.process.checklists.extend(read.checklists)
        read_escalation_matrices(told, self._scheme, self._ladder, self.notes)
        for below in climbs:
            read_escalation(below, self._scheme, self._ladder, self.notes)

    def _below_severity(self, section: Section) -> None:
        own = meaning_of(section.title.plain) is Meaning.SEVERITY
        for inner in section.sections:
            if meaning_of(inner.title.plain) not in (None, Meaning.SEVERITY) or not own:
                self._visit(inner)

    def _postmortem(self, section: Section) -> None:
        found = read_postmortem(section, self.notes)
        if found is None:
            return
        if self.postmortem is None:
            self.postmortem = found
            return
        # Template and action items may stand in two sections; the first template wins.
        self.postmortem = Postmortem(
            self.postmortem.sections or found.sections,
            self.postmortem.action_items or found.action_items,
            self.postmortem.source,
        )

    def _late_postmortem(self) -> None:
        """Look for a template under a bold label, where no section of its own holds one."""
        if self.postmortem is not None and self.postmortem.sections:
            return
        for section in self.document.root.walk():
            for group in section.groups():
                if meaning_of(group.label or section.title.plain) is not Meaning.POSTMORTEM:
                    continue
                fences = tuple(block for block in group.blocks if isinstance(block, Fence))
                if fences:
                    self._postmortem(msgspec.structs.replace(section, blocks=fences, sections=()))

    def _process(self, section: Section) -> None:
        own = msgspec.structs.replace(section, sections=())
        read_process(own, self.process, self.notes)
        for inner in section.sections:
            meaning = meaning_of(inner.title.plain)
            if inner is self.severities.section or meaning is Meaning.SEVERITY:
                continue
            if meaning in (Meaning.ESCALATION, Meaning.SCENARIOS, Meaning.COMMUNICATION):
                self._visit(inner)
            else:
                read_stage(inner, self.process, self.notes)

    def _step_back(self, scheme: Scheme) -> None:
        """Let another document's scheme decide; this one's rules would be read wrongly by it."""
        self.in_force = False
        for level in self.severities.levels:
            for line in (level.source.line, *(c.source.line for c in level.criteria)):
                rule = "level of a scheme that is not in force"
                self.notes.mark(line, LineStatus.UNSUPPORTED, rule, again=True)
        self.notes.find(
            "T103",
            self.severities.levels[0].source.line,
            1,
            f"{', '.join(self.severities.scheme.words)} is another scheme than"
            f" {', '.join(scheme.words)}, which is in force.",
            "Declare severity levels in one document only.",
        )

    def _leftovers(self) -> None:
        """Report what stands anywhere and is read nowhere: open fences, HTML, stray annotations."""
        inside = [block for section in self.document.root.walk() for block in section.blocks]
        for block in (*_all_blocks(inside), *self._trials):
            if isinstance(block, Fence) and not block.closed:
                self.notes.find(
                    "T151",
                    block.line,
                    1,
                    "This code block is never closed; all that follows counts as code.",
                    "Close it with the same marks that open it.",
                )
            if is_annotation(block) and self.notes.status(block.line) is not LineStatus.AUTOMATED:
                self.notes.mark_block(block, LineStatus.UNSUPPORTED, "annotation of nothing")
                self.notes.find(
                    "T153",
                    block.line,
                    1,
                    "This annotation stands in no scenario, so it is about nothing.",
                    "Move it under the scenario or the step that it is about.",
                )
            if isinstance(block, Other) and self._is_html_table(block):
                self.notes.mark_block(block, LineStatus.UNSUPPORTED, "table in HTML")
                self.notes.find(
                    "T152",
                    block.line,
                    "<table",
                    "This table is written in HTML and is not read.",
                    "Write it as a Markdown table.",
                )

    def _is_html_table(self, block: Other) -> bool:
        text = self.document.lines[block.line - 1 : block.end]
        return block.kind == "html_block" and any("<table" in line.casefold() for line in text)


def _all_blocks(blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        yield block
        if isinstance(block, Listing):
            for item in block.items:
                yield from _all_blocks(item.blocks)
