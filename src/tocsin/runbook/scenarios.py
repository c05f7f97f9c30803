"""Scenarios become plays: symptoms, the alerts that mean them, and what is to be done."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tocsin.core.policy import LineStatus, Play, Symptom
from tocsin.runbook.annotations import Entry, is_annotation, read_annotation, read_front_matter
from tocsin.runbook.commands import Judged, read_code, read_fence
from tocsin.runbook.document import (
    Block,
    Document,
    Fence,
    Inline,
    Item,
    Listing,
    Paragraph,
    Section,
    Table,
    rows_of,
)
from tocsin.runbook.fenced import entries_of
from tocsin.runbook.fields import (
    AlertField,
    alert_field,
    fields_of,
    is_alert_name,
    is_condition_field,
    is_level_field,
)
from tocsin.runbook.findings import did_you_mean
from tocsin.runbook.headings import Part, part_of
from tocsin.runbook.levels import Scheme
from tocsin.runbook.links import anchor_of
from tocsin.runbook.notes import Notes
from tocsin.runbook.plays import LEDGER_BY_CLASS, NOT_RUN, Draft, Drafts, step_text

_KIND = (
    r"(?:scenario|playbook|play|runbook|case|issue|incident|problem|alert|step|procedure|failure)"
)
_NUMBERING = re.compile(
    rf"^\s*(?:{_KIND}\s*(?:#?\d+|[A-Z](?=\s*[:.)-]))?\s*[:.)\u2013\u2014-]\s*"
    r"|\d+(?:\.\d+)*[.)]?\s+)+",
    re.IGNORECASE,
)
_NUMBERED_KIND = re.compile(
    r"^\W*(?:\d+[.)]\s*)?(?:scenario|playbook|runbook)\s*(?:(?:#?\d+|[A-Z])\s*)?[:.)\u2013\u2014-]\s*\S",
    re.IGNORECASE,
)
_LEVEL_TAIL = re.compile(r"\s*[\[(][^\[\]()]*[\])]\s*$")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_STEP_LEAD = re.compile(
    r"^\s*(?:\*\*)?(?:step\s+\d+|\d+[.)])\s*[:.)\u2013\u2014-]?\s*\S", re.IGNORECASE
)
_STEP_NUMBER = re.compile(r"^\s*(?:step\s+)?\d+\s*[:.)\u2013\u2014-]\s*", re.IGNORECASE)
_LOOKS = re.compile(r"investigat|diagnos|triage|debug|\bcheck|what to look", re.IGNORECASE)
_MENDS = re.compile(r"resol|mitigat|remed|\bfix|recover|workaround|action|solution", re.IGNORECASE)
_CLIMBS = re.compile(r"escalat", re.IGNORECASE)
_SHELLS = ("bash", "sh", "shell", "console", "zsh")
_NAMES = re.compile(r"\s*(?:[/,]|\band\b)\s*")
_LEAD_WORDS_MAX = 4
_TEMPLATE = re.compile(r"template|message|communicat|announce|notif", re.IGNORECASE)


def read_scenarios(section: Section, scheme: Scheme, notes: Notes) -> tuple[Play, ...]:
    """Read every scenario below a section of scenarios."""
    if not section.sections:
        play = read_scenario(section, scheme, notes)
        return (play,) if play else ()
    plays: list[Play] = []
    for inner in section.sections:
        if is_scenario(inner) or not any(is_scenario(deeper) for deeper in inner.sections):
            play = read_scenario(inner, scheme, notes)
            if play is not None:
                plays.append(play)
        else:
            plays.extend(read_scenarios(inner, scheme, notes))
    return tuple(plays)


def read_procedures(section: Section, scheme: Scheme, notes: Notes) -> tuple[Play, ...]:
    """Read procedures that no symptom calls for: each heading over commands or steps is one."""
    acts = any(isinstance(b, Fence | Listing) for b in section.blocks)
    if not section.sections or (acts and not any(map(has_commands, section.sections))):
        play = read_scenario(section, scheme, notes) if has_commands(section) else None
        return (play,) if play else ()
    plays: list[Play] = []
    for inner in section.sections:
        plays.extend(read_procedures(inner, scheme, notes))
    return tuple(plays)


def has_commands(section: Section) -> bool:
    """Say whether anything below a heading could be typed, or is numbered as steps are."""
    return any(
        (isinstance(block, Fence) and block.language in _SHELLS)
        or (isinstance(block, Listing) and block.ordered)
        for inner in section.walk()
        for block in inner.blocks
    )


def is_scenario(section: Section) -> bool:
    """Say whether a section, wherever it stands, tells of one failure and what to do about it.

    It does with symptoms or the name of an alert beside steps or commands, with bold labels for
    looking and for mending, or with a heading that says so ("Scenario 2: ...") over any steps.
    """
    bold = [group.label for group in section.groups() if group.label]
    labels = bold + [inner.title.plain for inner in section.sections]
    parts = {part_of(label) for label in labels}
    acts = bool(parts & {Part.STEPS, Part.COMMANDS})
    if acts and (Part.SYMPTOMS in parts or names_alert(section)):
        return True
    if any(map(_LOOKS.search, bold)) and any(map(_MENDS.search, bold)):
        return True
    has_steps = acts or any(isinstance(b, Listing | Fence) for b in section.blocks)
    return has_steps and _NUMBERED_KIND.match(section.title.plain) is not None


def names_alert(section: Section) -> bool:
    """Say whether a section carries a field that names its alert, or is headed by an alert's name."""
    title = _NUMBERING.sub("", section.title.plain).strip()
    return all(map(is_alert_name, _NAMES.split(title))) or any(
        alert_field(field) is not None for field in fields_of(section.blocks)
    )


def read_alert_document(document: Document, scheme: Scheme, notes: Notes) -> Play | None:
    """Read a whole document that explains one alert as one play."""
    title = document.title_section
    name = document.title or document.file
    reader = _Reader(scheme, notes, prose_is_steps=True)
    sections = document.top_sections
    # A short document without headings is all steps.
    part = None if sections else Part.STEPS
    reader.annotate(read_front_matter(document, notes))
    reader.section_blocks(document.root.blocks, "", part)
    if title is not None:
        reader.section_blocks(title.blocks, "", part)
    for section in sections:
        reader.part(section, None)
    return reader.play(name, title.line if title else 1, anchor="")


def read_scenario(section: Section, scheme: Scheme, notes: Notes) -> Play | None:
    """Read one scenario; None when it neither names symptoms nor asks for anything."""
    reader = _Reader(scheme, notes, prose_is_steps=False)
    reader.section_blocks(section.blocks, "")
    for inner in section.sections:
        reader.part(inner, None)
    return reader.play(section.title.plain, section.line, anchor=anchor_of(section.title.plain))


class _Reader:
    def __init__(self, scheme: Scheme, notes: Notes, *, prose_is_steps: bool) -> None:
        self._scheme = scheme
        self._notes = notes
        self._prose_is_steps = prose_is_steps
        self._symptoms: list[Symptom] = []
        self._alerts: list[str] = []
        self._severity: str | None = None
        self._drafts = Drafts(notes)
        self._pointers: list[Paragraph] = []

    def part(self, section: Section, inherited: Part | None) -> None:
        """Read a subsection: its heading says which part of the scenario it is."""
        title = section.title.plain
        part = part_of(title) or inherited
        self.section_blocks(section.blocks, title, part, heading=section.title)
        for inner in section.sections:
            self.part(inner, part)

    def section_blocks(
        self,
        blocks: tuple[Block, ...],
        title: str,
        inherited: Part | None = None,
        heading: Inline | None = None,
    ) -> None:
        """Read blocks, each group under its bold label."""
        self._fields(blocks)
        holder = Section(Inline("", title, 1, 1), 9, blocks, ())
        for group in holder.groups():
            part = (part_of(group.label) if group.label else None) or inherited
            label = group.label or title
            before: Block | None = None
            owner: Draft | None = None
            for block in group.blocks:
                if isinstance(block, Fence) and is_annotation(block):
                    self._annotation(read_annotation(block, self._notes))
                    continue
                if isinstance(block, Fence) and _TEMPLATE.search(label) and not self._runs(block):
                    self._notes.mark_block(block, LineStatus.TEMPLATE, "message template")
                elif isinstance(block, Fence) and part not in (Part.SYMPTOMS, Part.BACKGROUND):
                    named = heading if not group.label and before is None else None
                    self._fence(block, part or Part.COMMANDS, owner, before, named)
                else:
                    self._block(block, part, label)
                    owner = self._drafts.last_listed
                before = block

    def _runs(self, fence: Fence) -> bool:
        return fence.language != "" and read_fence(fence, self._notes) is not None

    def _fields(self, blocks: tuple[Block, ...]) -> None:
        for field in fields_of(blocks):
            found = alert_field(field)
            if found is not None:
                self._alert(found)
            elif is_condition_field(field):
                self._alert(AlertField((), field.value, field.line))
            elif is_level_field(field) and self._severity is None:
                named = self._scheme.named_in(field.value)
                if named is not None and len(named.levels) == 1 and not named.is_all:
                    self._severity = named.levels[0]
                    rule = "severity of a scenario"
                    self._notes.mark(field.line, LineStatus.AUTOMATED, rule)

    def annotate(self, entries: Iterable[Entry]) -> None:
        """Take what front matter says; a severity there may be another program's word."""
        for entry in entries:
            if entry.key != "severity" or self._scheme.named_in(entry.value):
                self._annotation((entry,))

    def _annotation(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry.key == "alerts":
                self._alerts.extend(name for name in entry.values if name not in self._alerts)
            elif entry.key == "severity":
                self._set_severity(entry)
            else:
                self._drafts.annotate(entry)

    def _set_severity(self, entry: Entry) -> None:
        named = self._scheme.named_in(entry.value)
        if named is not None and len(named.levels) == 1:
            self._severity = named.levels[0]
            return
        known = self._scheme.words
        self._notes.find(
            "T153",
            entry.line,
            entry.value,
            f"\u201c{entry.value}\u201d is no declared severity level.",
            did_you_mean(entry.value, known) or f"Declared: {', '.join(known) or 'none'}.",
        )

    def _alert(self, found: AlertField) -> None:
        self._alerts.extend(name for name in found.names if name not in self._alerts)
        if found.words:
            self._symptoms.append(Symptom(found.words, self._notes.source(found.line)))
        rule = "alert that this scenario explains" if found.names else "symptom"
        self._notes.mark(found.line, LineStatus.AUTOMATED, rule)

    def _block(self, block: Block, part: Part | None, label: str) -> None:
        if part is Part.SYMPTOMS:
            self._symptom_block(block)
        elif part is Part.BACKGROUND:
            self._background(block, label)
        elif isinstance(block, Listing):
            for item in block.items:
                self._item(item, part or Part.STEPS)
        elif isinstance(block, Paragraph) and part is None and _tells_symptom(block.text):
            self._symptoms.append(Symptom(block.text.after_colon, self._notes.source(block.line)))
            self._notes.mark(block.line, LineStatus.AUTOMATED, "symptom", end=block.end, again=True)
        elif isinstance(block, Paragraph):
            self._paragraph(block, part)
        elif isinstance(block, Table):
            self._notes.mark_block(block, LineStatus.REFERENCE, "table of a scenario")

    def _symptom_block(self, block: Block) -> None:
        notes = self._notes
        if isinstance(block, Listing):
            for item, _ in rows_of((block,)):
                if item.text.plain:
                    source = notes.source(item.text.line)
                    self._symptoms.append(Symptom(item.text.plain, source))
                    notes.mark_item(item, LineStatus.AUTOMATED, "symptom")
        elif isinstance(block, Paragraph):
            words = _SENTENCE.split(block.text.rest or block.text.plain)[0]
            self._symptoms.append(Symptom(words, notes.source(block.line)))
            notes.mark(block.line, LineStatus.AUTOMATED, "symptom", end=block.end, again=True)
        elif isinstance(block, Fence | Table):
            notes.mark_block(block, LineStatus.REFERENCE, "illustration of a symptom")

    def _background(self, block: Block, label: str) -> None:
        if _CLIMBS.search(label) and isinstance(block, Listing | Paragraph | Table):
            rule = "escalation of one scenario: a person follows it"
            self._notes.mark_block(block, LineStatus.HUMAN, rule)
            self._notes.find(
                "T164",
                block.line,
                1,
                "An escalation that holds for one scenario only is shown to people, not timed.",
                "Put it into the section \u201cEscalation\u201d if it holds for all incidents of a level.",
            )
            return
        self._notes.mark_block(block, LineStatus.REFERENCE, "background of a scenario")

    def _item(self, item: Item, part: Part) -> None:
        draft = Draft(step_text(item.text, self._notes), item.text.line, item.text.end, part)
        if not draft.text and not item.blocks:
            return
        for code in item.text.codes:
            judged = read_code(code, self._notes)
            if judged is not None:
                draft.judged.append(judged)
        self._drafts.add(draft)
        for block in item.blocks:
            if isinstance(block, Fence) and is_annotation(block):
                self._annotation(read_annotation(block, self._notes))
            elif isinstance(block, Fence):
                self._own_fence(block, draft)
            elif isinstance(block, Listing):
                self._nested(block, part)
            else:
                self._notes.mark_block(block, LineStatus.REFERENCE, "detail of a step")

    def _nested(self, listing: Listing, part: Part) -> None:
        for item in listing.items:
            has_fence = any(isinstance(block, Fence) for block in item.blocks)
            is_command = any(read_code(code, self._notes) for code in item.text.codes)
            if has_fence or is_command:
                self._item(item, part)
                continue
            self._notes.mark_item(item, LineStatus.REFERENCE, "detail of a step")
            for block in item.blocks:
                if isinstance(block, Listing):
                    self._nested(block, part)

    def _paragraph(self, block: Paragraph, part: Part | None) -> None:
        judged = [j for code in block.text.codes if (j := read_code(code, self._notes))]
        wanted = (
            self._prose_is_steps
            and not block.quoted
            and part in (Part.STEPS, Part.CHECKS, Part.COMMANDS)
        )
        if judged or wanted or _STEP_LEAD.match(block.text.raw):
            text = step_text(block.text, self._notes)
            self._drafts.add(Draft(text, block.line, block.end, part or Part.STEPS, judged))
        else:
            if "](" in block.text.raw and not block.quoted:
                self._pointers.append(block)
            else:
                self._notes.mark_block(block, LineStatus.REFERENCE, "prose of a scenario")

    def _fence(
        self,
        fence: Fence,
        part: Part,
        owner: Draft | None,
        before: Block | None,
        heading: Inline | None,
    ) -> None:
        """Read a block of commands. Without comments it belongs to what is said just above it."""
        entries = entries_of(fence)
        if entries and part is Part.STEPS:
            self._listed_in(fence)
            return
        blocks = read_fence(fence, self._notes)
        if blocks is None:
            self._notes.mark_block(fence, LineStatus.REFERENCE, "text block")
            return
        said = self._said_above(before, owner, heading, part) if blocks else None
        for block in blocks:
            if not block.comments and block.judged and said is not None:
                said.judged.extend(block.judged)
            else:
                self._drafts.offer(block, part)
            rule = "comment that names commands" if block.judged else "comment for a person"
            if block.comments:
                end = block.line + len(block.comments) - 1
                self._notes.mark(block.line, LineStatus.HUMAN, rule, end=end)
            self._mark_commands(block.judged)
        self._notes.mark_block(fence, LineStatus.HUMAN, f"command block, {NOT_RUN}")

    def _said_above(
        self, before: Block | None, owner: Draft | None, heading: Inline | None, part: Part
    ) -> Draft | None:
        if (
            isinstance(before, Paragraph | Listing)
            and owner is not None
            and owner.line >= before.line
        ):
            return owner
        if isinstance(before, Paragraph):
            if before.text.is_label:
                return None
            text = step_text(before.text, self._notes)
            draft = Draft(_SENTENCE.split(text)[-1], before.line, before.end, part)
            return self._drafts.add(draft)
        if heading is not None and _STEP_NUMBER.match(heading.plain):
            text = _STEP_NUMBER.sub("", heading.plain)
            return self._drafts.add(Draft(text, heading.line, heading.end, part, listed=False))
        return None

    def _listed_in(self, fence: Fence) -> None:
        """Read a checklist that stands inside a block of text."""
        for entry in entries_of(fence):
            if entry.depth == 0:
                self._drafts.add(Draft(entry.text, entry.line, entry.line, Part.STEPS))
            else:
                self._notes.mark(entry.line, LineStatus.REFERENCE, "detail of a step")
        self._notes.mark_block(fence, LineStatus.REFERENCE, "text block")

    def _own_fence(self, fence: Fence, draft: Draft) -> None:
        blocks = read_fence(fence, self._notes)
        if blocks is None:
            self._notes.mark_block(fence, LineStatus.REFERENCE, "text block")
            return
        self._notes.mark_block(fence, LineStatus.HUMAN, f"commands of a step, {NOT_RUN}")
        for block in blocks:
            draft.judged.extend(block.judged)
            self._mark_commands(block.judged)

    def _mark_commands(self, judged: tuple[Judged, ...]) -> None:
        for one in judged:
            status, rule = LEDGER_BY_CLASS[one.command.kind]
            self._notes.mark(one.statement.line, status, rule, end=one.statement.end, again=True)

    def play(self, title: str, line: int, anchor: str) -> Play | None:
        """Join what was read into a play, and report its traps."""
        self._follow_pointers()
        steps = self._drafts.steps()
        if not steps and not self._symptoms:
            return None
        name, severity = self._name(title)
        if not steps:
            self._notes.find(
                "T161", line, 1, f"\u201c{name}\u201d has no steps.", "Say what to do first."
            )
        parts = _NAMES.split(name)
        if all(map(is_alert_name, parts)):
            self._alerts.extend(part for part in parts if part not in self._alerts)
        return Play(
            name,
            self._notes.source(line),
            tuple(self._symptoms),
            steps,
            self._severity or severity,
            tuple(self._alerts),
            anchor,
        )

    def _follow_pointers(self) -> None:
        """Where nothing but a link says what to do, following it is the step."""
        is_all = self._drafts.last_listed is None and not self._symptoms
        for block in self._pointers:
            if is_all:
                text = step_text(block.text, self._notes)
                self._drafts.add(Draft(text, block.line, block.end, Part.STEPS))
            else:
                self._notes.mark_block(block, LineStatus.REFERENCE, "prose of a scenario")

    def _name(self, title: str) -> tuple[str, str | None]:
        name = _NUMBERING.sub("", title).strip() or title
        tail = _LEVEL_TAIL.search(name)
        named = self._scheme.named_in(tail[0]) if tail else None
        if tail and named and len(named.levels) == 1 and not named.is_all:
            return name[: tail.start()].strip() or name, named.levels[0]
        return name, None


def _tells_symptom(text: Inline) -> bool:
    """Say whether a sentence says what it is first: "Symptoms: the queue grows"."""
    lead = text.before_colon
    return 0 < len(lead.split()) <= _LEAD_WORDS_MAX and part_of(lead) is Part.SYMPTOMS
