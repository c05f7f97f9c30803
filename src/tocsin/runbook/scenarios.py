"""Scenarios become plays: symptoms, steps, and the commands that each step means."""

from __future__ import annotations

import re

import msgspec

from tocsin.core.policy import Command, CommandClass, LineStatus, Play, Step, StepKind, Symptom
from tocsin.runbook.commands import Block as CommandBlock
from tocsin.runbook.commands import Judged, read_code, read_fence, report
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
from tocsin.runbook.headings import Part, part_of
from tocsin.runbook.levels import Scheme
from tocsin.runbook.meaning import best_match, label_of
from tocsin.runbook.notes import Notes

_NUMBERING = re.compile(
    r"^\s*(?:(?:scenario|playbook|play|runbook|case|issue|incident|problem|alert|step)\s*"
    r"(?:#?\d+|[A-Z](?=\s*[:.)-]))?\s*[:.)\u2013\u2014-]\s*|\d+(?:\.\d+)*[.)]?\s+)+",
    re.IGNORECASE,
)
_LEVEL_TAIL = re.compile(r"\s*[\[(][^\[\]()]*[\])]\s*$")
_CONDITION = re.compile(
    r"\b(?:only if|if|when|unless|in case)\s+(?:it'?s\s+|it is\s+)?[\w' /-]+", re.IGNORECASE
)
_ASKING = re.compile(
    r"\b(?:check|see|verify|determine|confirm|find out|test|ask|look|know|validate|ensure)\b[^,;.]*$",
    re.IGNORECASE,
)
_JUDGEMENT = re.compile(
    r"\b(?:if|as|when|where)\s+(?:it'?s\s+|it is\s+|this is\s+)?"
    r"(?:needed|necessary|required|appropriate|possible|applicable|warranted|safe|desired|useful)\b"
    r"|\boptional(?:ly)?\b",
    re.IGNORECASE,
)
_PROOF = re.compile(
    r"^\s*(?:verify|confirm|validate|check)\b.*\b(?:fix\w*|recover\w*|resol\w*|healthy|restored|back up)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_READING = (CommandClass.READ_ONLY,)
_NOT_RUN = "shown to a person: commands are not run yet"


class Draft(msgspec.Struct):
    """A step while its commands are still being found."""

    text: str
    line: int
    end: int
    part: Part
    judged: list[Judged] = []
    listed: bool = True


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


def is_scenario(section: Section) -> bool:
    """Say whether a section, wherever it stands, names symptoms and what to do about them."""
    labels = [group.label for group in section.groups() if group.label]
    labels += [inner.title.plain for inner in section.sections]
    parts = {part_of(label) for label in labels}
    return Part.SYMPTOMS in parts and bool(parts & {Part.STEPS, Part.COMMANDS})


def read_alert_document(document: Document, scheme: Scheme, notes: Notes) -> Play | None:
    """Read a whole document that explains one alert as one play."""
    title = document.title_section
    name = document.title or document.file
    reader = _Reader(scheme, notes, prose_is_steps=True)
    sections = document.top_sections
    reader.section_blocks(title.blocks if title else document.root.blocks, "")
    for section in sections:
        reader.part(section, None)
    return reader.play(name, title.line if title else 1)


def read_scenario(section: Section, scheme: Scheme, notes: Notes) -> Play | None:
    """Read one scenario; None when it neither names symptoms nor asks for anything."""
    reader = _Reader(scheme, notes, prose_is_steps=False)
    reader.section_blocks(section.blocks, "")
    for inner in section.sections:
        reader.part(inner, None)
    return reader.play(section.title.plain, section.line)


class _Reader:
    def __init__(self, scheme: Scheme, notes: Notes, *, prose_is_steps: bool) -> None:
        self._scheme = scheme
        self._notes = notes
        self._prose_is_steps = prose_is_steps
        self._symptoms: list[Symptom] = []
        self._drafts: list[Draft] = []
        self._offers: list[tuple[CommandBlock, Part]] = []

    def part(self, section: Section, inherited: Part | None) -> None:
        """Read a subsection: its heading says which part of the scenario it is."""
        title = section.title.plain
        part = part_of(title) or inherited
        self.section_blocks(section.blocks, title, part)
        for inner in section.sections:
            self.part(inner, part)

    def section_blocks(
        self, blocks: tuple[Block, ...], title: str, inherited: Part | None = None
    ) -> None:
        """Read blocks, each group under its bold label."""
        holder = Section(Inline("", title, 1, 1), 9, blocks, ())
        for group in holder.groups():
            part = (part_of(group.label) if group.label else None) or inherited
            for block in group.blocks:
                self._block(block, part)

    def _block(self, block: Block, part: Part | None) -> None:
        if part is Part.SYMPTOMS:
            self._symptom_block(block)
        elif part is Part.BACKGROUND:
            self._background(block)
        elif isinstance(block, Listing):
            for item in block.items:
                self._item(item, part or Part.STEPS)
        elif isinstance(block, Fence):
            self._fence(block, part or Part.COMMANDS)
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
        else:
            notes.mark_block(block, LineStatus.REFERENCE, "illustration of a symptom")

    def _background(self, block: Block) -> None:
        self._notes.mark_block(block, LineStatus.REFERENCE, "background of a scenario")

    def _item(self, item: Item, part: Part) -> None:
        draft = Draft(_step_text(item.text, self._notes), item.text.line, item.text.end, part)
        if not draft.text and not item.blocks:
            return
        for code in item.text.codes:
            judged = read_code(code, self._notes)
            if judged is not None:
                draft.judged.append(judged)
        self._drafts.append(draft)
        for block in item.blocks:
            if isinstance(block, Fence):
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
        wanted = self._prose_is_steps and part in (Part.STEPS, Part.CHECKS, Part.COMMANDS)
        if judged or wanted:
            text = _step_text(block.text, self._notes)
            draft = Draft(text, block.line, block.end, part or Part.STEPS, judged)
            self._drafts.append(draft)
        else:
            self._notes.mark_block(block, LineStatus.REFERENCE, "prose of a scenario")

    def _own_fence(self, fence: Fence, draft: Draft) -> None:
        blocks = read_fence(fence, self._notes)
        if blocks is None:
            self._notes.mark_block(fence, LineStatus.REFERENCE, "text block")
            return
        self._notes.mark_block(fence, LineStatus.HUMAN, f"commands of a step, {_NOT_RUN}")
        for block in blocks:
            draft.judged.extend(block.judged)
            self._mark_commands(block.judged)

    def _fence(self, fence: Fence, part: Part) -> None:
        blocks = read_fence(fence, self._notes)
        if blocks is None:
            self._notes.mark_block(fence, LineStatus.REFERENCE, "text block")
            return
        for block in blocks:
            self._offers.append((block, part))
            rule = "comment that names commands" if block.judged else "comment for a person"
            if block.comments:
                end = block.line + len(block.comments) - 1
                self._notes.mark(block.line, LineStatus.HUMAN, rule, end=end)
            self._mark_commands(block.judged)
        self._notes.mark_block(fence, LineStatus.HUMAN, f"command block, {_NOT_RUN}")

    def _mark_commands(self, judged: tuple[Judged, ...]) -> None:
        for one in judged:
            status, rule = _LEDGER_BY_CLASS[one.command.kind]
            self._notes.mark(one.statement.line, status, rule, end=one.statement.end, again=True)

    def play(self, title: str, line: int) -> Play | None:
        """Join what was read into a play, and report its traps."""
        self._join()
        self._drafts.sort(key=lambda draft: draft.line)
        report([judged for draft in self._drafts for judged in draft.judged], self._notes)
        steps = tuple(self._step(draft, i) for i, draft in enumerate(self._drafts))
        if not steps and not self._symptoms:
            return None
        name, severity = self._name(title)
        if not steps:
            self._notes.find(
                "T161", line, 1, f"\u201c{name}\u201d has no steps.", "Say what to do first."
            )
        return Play(name, self._notes.source(line), tuple(self._symptoms), steps, severity)

    def _name(self, title: str) -> tuple[str, str | None]:
        name = _NUMBERING.sub("", title).strip() or title
        tail = _LEVEL_TAIL.search(name)
        named = self._scheme.named_in(tail[0]) if tail else None
        if tail and named and len(named.levels) == 1 and not named.is_all:
            return name[: tail.start()].strip() or name, named.levels[0]
        return name, None

    def _join(self) -> None:
        listed = [draft for draft in self._drafts if draft.listed]
        texts = [draft.text for draft in listed]
        for block, part in self._offers:
            label = label_of(block.comments)
            judged = [j for j in block.judged if j.command.kind is not CommandClass.NOT_A_COMMAND]
            if not judged:
                self._only_comments(block, label, part)
                continue
            index = best_match(label, texts) if label else None
            if index is not None:
                listed[index].judged.extend(judged)
                continue
            text = label or judged[0].command.text
            at = block.line if block.comments else judged[0].statement.line
            self._drafts.append(Draft(text, at, at, part, judged, listed=False))

    def _only_comments(self, block: CommandBlock, label: str, part: Part) -> None:
        if not label or block.judged:
            return
        self._drafts.append(Draft(label, block.line, block.line, part, [], listed=False))
        self._notes.find(
            "T115",
            block.line,
            block.comments[0],
            f"Comments without a command: \u201c{label}\u201d is shown to a person as a step.",
            "Add the command, or move the words into the list of steps.",
        )

    def _step(self, draft: Draft, index: int) -> Step:
        commands = tuple(judged.command for judged in draft.judged)
        after_action = any(
            _kind_of(tuple(j.command for j in earlier.judged)) is StepKind.ACTION
            for earlier in self._drafts[:index]
        )
        kind = _kind_of(commands)
        is_proof = draft.part is Part.CHECKS or (
            after_action and _PROOF.search(draft.text) is not None
        )
        if kind is StepKind.DIAGNOSTIC and is_proof:
            kind = StepKind.CHECK
        condition = self._condition(draft)
        if draft.listed:
            status, rule = _ledger_of(kind, condition)
            self._notes.mark(draft.line, status, rule, end=draft.end)
        return Step(draft.text, kind, self._notes.source(draft.line), commands, condition)

    def _condition(self, draft: Draft) -> str | None:
        found = _JUDGEMENT.search(draft.text)
        if found is not None:
            self._notes.find(
                "T112",
                draft.line,
                found[0],
                f"\u201c{found[0]}\u201d: a person decides.",
                "Say what to look at, if it can be said: \u201cif the pod restarted\u201d.",
            )
            return found[0]
        said = _CONDITION.search(draft.text)
        # "Check if the pods run" asks a question; "restart if the pods are stuck" sets a condition.
        if said is None or _ASKING.search(draft.text[: said.start()]):
            return None
        return said[0].strip()


def _step_text(text: Inline, notes: Notes) -> str:
    """Return a step's words without the commands that stand in it."""
    words = text.plain
    for code in text.codes:
        if read_code(code, notes) is not None:
            words = words.replace(code.text, "", 1)
    return re.sub(r"\s{2,}", " ", words).strip().rstrip(":;,- \u2013\u2014").strip() or text.plain


def _kind_of(commands: tuple[Command, ...]) -> StepKind:
    runnable = [command for command in commands if command.argv is not None]
    if not runnable:
        return StepKind.HUMAN
    if all(command.kind in _READING for command in runnable):
        return StepKind.DIAGNOSTIC
    return StepKind.ACTION


def _ledger_of(kind: StepKind, condition: str | None) -> tuple[LineStatus, str]:
    if condition is not None:
        return LineStatus.HUMAN, f"step whose \u201c{condition}\u201d a person decides"
    return {
        StepKind.DIAGNOSTIC: (LineStatus.HUMAN, f"diagnostic step, {_NOT_RUN}"),
        StepKind.CHECK: (LineStatus.HUMAN, f"check that the fix holds, {_NOT_RUN}"),
        StepKind.ACTION: (LineStatus.HUMAN, f"action, {_NOT_RUN}"),
        StepKind.HUMAN: (LineStatus.HUMAN, "step without a command, for a person"),
    }[kind]


_LEDGER_BY_CLASS = {
    CommandClass.READ_ONLY: (LineStatus.HUMAN, f"read-only command, {_NOT_RUN}"),
    CommandClass.MUTATING: (LineStatus.HUMAN, f"mutating command, {_NOT_RUN}"),
    CommandClass.SENSITIVE_READ: (LineStatus.HUMAN, f"command that may show secrets, {_NOT_RUN}"),
    CommandClass.LONG_RUNNING: (LineStatus.HUMAN, "command that never ends, for a person"),
    CommandClass.NEEDS_SHELL: (LineStatus.HUMAN, "command that needs a shell, for a person"),
    CommandClass.NOT_A_COMMAND: (LineStatus.REFERENCE, "output or text, no command"),
}
