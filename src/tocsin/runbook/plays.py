"""The steps of a play: what is asked for, joined with the commands that each step means."""

from __future__ import annotations

import re

import msgspec

from tocsin.core.policy import Command, CommandClass, LineStatus, Step, StepKind
from tocsin.runbook.annotations import Entry
from tocsin.runbook.commands import Block as CommandBlock
from tocsin.runbook.commands import Judged, read_code, report
from tocsin.runbook.document import Inline
from tocsin.runbook.headings import Part
from tocsin.runbook.meaning import best_match, label_of
from tocsin.runbook.notes import Notes

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
_BARE_VERB = re.compile(
    r"(?:(?:then|and|or|also)\s+)?(?:run|execute|use|type|enter|try|do|call)\W*", re.I
)
_EMPTY_BRACKETS = re.compile(r"\(\s*\)")
_READING = (CommandClass.READ_ONLY,)
# Comments are compared with every step; nobody writes a scenario of more.
_STEPS_COMPARED_MAX = 200
NOT_RUN = "shown to a person: commands are not run yet"


class Draft(msgspec.Struct):
    """A step while its commands are still being found."""

    text: str
    line: int
    end: int
    part: Part
    judged: list[Judged] = []
    listed: bool = True

    @property
    def reaches(self) -> int:
        """Return the last line of the step and its commands."""
        return max([self.end, *(judged.statement.end for judged in self.judged)])


class Drafts:
    """The steps of one play on their way. Commands are offered to them, and find theirs."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._drafts: list[Draft] = []
        self._offers: list[tuple[CommandBlock, Part]] = []
        self._said: list[Entry] = []

    def add(self, draft: Draft) -> Draft:
        """Take a step, and return it."""
        self._drafts.append(draft)
        return draft

    @property
    def last_listed(self) -> Draft | None:
        """Return the step that was taken last, or None before the first."""
        return self._drafts[-1] if self._drafts else None

    def offer(self, block: CommandBlock, part: Part) -> None:
        """Take commands that may belong to any step of the play, by the comment above them."""
        self._offers.append((block, part))

    def annotate(self, entry: Entry) -> None:
        """Take what an annotation says about the step above it."""
        self._said.append(entry)

    def steps(self) -> tuple[Step, ...]:
        """Return the steps in the order of their lines, and report the traps in their commands."""
        self._join()
        self._drafts.sort(key=lambda draft: draft.line)
        report([judged for draft in self._drafts for judged in draft.judged], self._notes)
        steps: list[Step] = []
        acted = False
        for draft in self._drafts:
            steps.append(self._step(draft, after_action=acted))
            acted = acted or steps[-1].kind is StepKind.ACTION
        for entry in self._said:
            self._apply(entry, steps)
        return tuple(steps)

    def _apply(self, entry: Entry, steps: list[Step]) -> None:
        """Say it of the step that ends nearest above; of all, where an approval stands above all."""
        above = [(d.reaches, i) for i, d in enumerate(self._drafts) if d.reaches < entry.line]
        if above:
            chosen = [max(above)[1]]
        elif entry.key == "approval":
            chosen = list(range(len(steps)))
        else:
            self._notes.find(
                "T153",
                entry.line,
                entry.column,
                f"\u201c{entry.key}\u201d stands below no step.",
                "Write the block under the step that it is about.",
            )
            return
        for index in chosen:
            steps[index] = _annotated(steps[index], entry)

    def _join(self) -> None:
        listed = [draft for draft in self._drafts if draft.listed]
        texts = [draft.text for draft in listed[:_STEPS_COMPARED_MAX]]
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

    def _step(self, draft: Draft, *, after_action: bool) -> Step:
        commands = tuple(judged.command for judged in draft.judged)
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


def _annotated(step: Step, entry: Entry) -> Step:
    replace = msgspec.structs.replace
    if entry.key == "query":
        kind = StepKind.CHECK if step.kind is StepKind.HUMAN else step.kind
        return replace(step, query=entry.value, kind=kind, verification=True)
    if entry.key == "undo":
        return replace(step, undo=entry.value)
    return replace(step, approval=step.approval or entry.value)


def step_text(text: Inline, notes: Notes) -> str:
    """Return a step's words without the commands that stand in it."""
    words = text.plain
    for code in text.codes:
        if read_code(code, notes) is not None:
            words = words.replace(code.text, "", 1)
    words = re.sub(r"\s{2,}", " ", _EMPTY_BRACKETS.sub("", words)).strip()
    words = words.rstrip(":;,- \u2013\u2014").strip()
    # "Run `df -h`." says nothing without its command.
    return text.plain if _BARE_VERB.fullmatch(words) else words or text.plain


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
        StepKind.DIAGNOSTIC: (LineStatus.HUMAN, f"diagnostic step, {NOT_RUN}"),
        StepKind.CHECK: (LineStatus.HUMAN, f"check that the fix holds, {NOT_RUN}"),
        StepKind.ACTION: (LineStatus.HUMAN, f"action, {NOT_RUN}"),
        StepKind.HUMAN: (LineStatus.HUMAN, "step without a command, for a person"),
    }[kind]


LEDGER_BY_CLASS = {
    CommandClass.READ_ONLY: (LineStatus.HUMAN, f"read-only command, {NOT_RUN}"),
    CommandClass.MUTATING: (LineStatus.HUMAN, f"mutating command, {NOT_RUN}"),
    CommandClass.SENSITIVE_READ: (LineStatus.HUMAN, f"command that may show secrets, {NOT_RUN}"),
    CommandClass.LONG_RUNNING: (LineStatus.HUMAN, "command that never ends, for a person"),
    CommandClass.NEEDS_SHELL: (LineStatus.HUMAN, "command that needs a shell, for a person"),
    CommandClass.NOT_A_COMMAND: (LineStatus.REFERENCE, "output or text, no command"),
}
