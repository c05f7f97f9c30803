"""The post-mortem template and the action items the document always asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tocsin.core.policy import (
    ChecklistItem,
    LineStatus,
    Postmortem,
    PostmortemPrompt,
    PostmortemSection,
)
from tocsin.runbook.document import Block, Fence, Listing, Paragraph, Section, rows_of
from tocsin.runbook.fenced import entries_of
from tocsin.runbook.notes import Notes

_ACTION_ITEMS = re.compile(r"action|follow-?ups?|to-?dos?\b|next steps|tasks?\b", re.IGNORECASE)
_TEMPLATE = re.compile(
    r"template|format|outline|structure|contents?|sections?|report", re.IGNORECASE
)
_FENCED_HEADING = re.compile(
    r"^\s*(?:#{1,6}\s+(?P<hash>.+?)|\*\*(?P<bold>[^*]+?):?\*\*:?(?P<after>.*))\s*$"
)
_FENCED_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+(?:\[[ xX]\]\s+)?(?P<text>.+?)\s*$")

_TEXTS = ("", "text", "txt", "markdown", "md", "plain", "plaintext", "yaml")
_HERE_DOCUMENT = re.compile(r"<<-?\s*(?P<quote>['\"]?)(?P<word>\w+)(?P=quote)")
_TASK = re.compile(
    r"^\W*(?:within \w+ \w+\W*|(?:schedule|create|complete|update|share|send|conduct|hold|write|assign|track"
    r"|implement|publish|mark|close|file|add|archive|collect|distribute|present|monthly|weekly)\b)",
    re.IGNORECASE,
)


def read_postmortem(section: Section, notes: Notes) -> Postmortem | None:
    """Read a post-incident section; None when it holds neither template nor action items."""
    reader = _Reader(notes)
    reader.section(section)
    if not reader.sections and not reader.action_items:
        return None
    return Postmortem(
        tuple(reader.sections), tuple(reader.action_items), notes.source(section.line)
    )


class _Reader:
    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self.sections: list[PostmortemSection] = []
        self.action_items: list[ChecklistItem] = []

    def section(self, section: Section) -> None:
        for group in section.groups():
            about = group.label or section.title.plain
            for block in group.blocks:
                self._block(block, about, group.line if group.label else section.line)
        for inner in section.sections:
            self.section(inner)

    def _block(self, block: Block, about: str, line: int) -> None:
        notes = self._notes
        if isinstance(block, Listing):
            if _is_action_items(block, about):
                self._tasks(block)
            elif any(item.blocks for item in block.items) or _TEMPLATE.search(about):
                self._nested(block)
            elif _are_tasks(block):
                self._tasks(block)
            else:
                self._flat(block, about, line)
        elif isinstance(block, Fence):
            self._fence(block)
        elif isinstance(block, Paragraph):
            notes.mark_block(block, LineStatus.REFERENCE, "words about the review")

    def _fence(self, block: Fence) -> None:
        notes = self._notes
        entries = entries_of(block)
        if block.language not in _TEXTS:
            if _HERE_DOCUMENT.search(block.content) and not self.sections:
                self._fenced(block, first=True)
            notes.mark_block(block, LineStatus.REFERENCE, "commands of the review")
        elif entries:
            for entry in entries:
                self.action_items.append(ChecklistItem(entry.text, notes.source(entry.line)))
            notes.mark_block(block, LineStatus.TEMPLATE, "action item")
        else:
            self._fenced(block, first=not self.sections)

    def _tasks(self, listing: Listing) -> None:
        for item, _ in rows_of((listing,)):
            source = self._notes.source(item.text.line)
            self.action_items.append(ChecklistItem(item.text.plain, source))
            self._notes.mark_item(item, LineStatus.TEMPLATE, "action item")

    def _nested(self, listing: Listing) -> None:
        for item in listing.items:
            prompts: list[PostmortemPrompt] = []
            if item.text.lead and item.text.rest and item.text.rest != item.text.plain:
                prompts.append(PostmortemPrompt(item.text.rest, self._notes.source(item.text.line)))
            for inner, _ in rows_of(item.blocks):
                prompts.append(
                    PostmortemPrompt(inner.text.plain, self._notes.source(inner.text.line))
                )
                self._notes.mark_item(inner, LineStatus.TEMPLATE, "post-mortem prompt")
            title = item.text.lead or item.text.plain
            self._notes.mark_item(item, LineStatus.TEMPLATE, "post-mortem section")
            self.sections.append(
                PostmortemSection(title, self._notes.source(item.text.line), tuple(prompts))
            )

    def _flat(self, listing: Listing, title: str, line: int) -> None:
        prompts: list[PostmortemPrompt] = []
        for item in listing.items:
            prompts.append(PostmortemPrompt(item.text.plain, self._notes.source(item.text.line)))
            self._notes.mark_item(item, LineStatus.TEMPLATE, "post-mortem prompt")
        self.sections.append(PostmortemSection(title, self._notes.source(line), tuple(prompts)))

    def _fenced(self, block: Fence, *, first: bool) -> None:
        """Read a template given as a Markdown document inside a code block; the first one counts."""
        title, line, prompts = "", block.line, list[PostmortemPrompt]()
        made: list[PostmortemSection] = []

        def close() -> None:
            if title:
                made.append(PostmortemSection(title, self._notes.source(line), tuple(prompts)))

        for number, text in _template_lines(block):
            if heading := _FENCED_HEADING.match(text):
                close()
                title, line, prompts = heading["hash"] or heading["bold"], number, []
            elif title and text.strip():
                item = _FENCED_ITEM.match(text)
                words = item["text"] if item else text.strip()
                prompts.append(PostmortemPrompt(words, self._notes.source(number)))
        close()
        if first:
            self.sections.extend(made)
        rule = "post-mortem template" if made else "text block"
        self._notes.mark_block(block, LineStatus.TEMPLATE, rule)


def _template_lines(block: Fence) -> Iterator[tuple[int, str]]:
    """Yield the lines of a template with their numbers; of a shell script, those that it writes."""
    lines = block.content.split("\n")
    start, end = 0, len(lines)
    if block.language not in _TEXTS and (here := _HERE_DOCUMENT.search(block.content)):
        start = block.content[: here.end()].count("\n") + 1
        end = next((i for i in range(start, end) if lines[i].strip() == here["word"]), end)
    for index in range(start, end):
        yield block.body_line + index, lines[index]


def _are_tasks(listing: Listing) -> bool:
    """Say whether most entries ask for an act, with a box to tick, a time limit or a verb."""
    tasks = sum(
        item.text.checkbox or _TASK.match(item.text.plain) is not None for item in listing.items
    )
    return tasks > len(listing.items) / 2


def _is_action_items(listing: Listing, about: str) -> bool:
    if not _ACTION_ITEMS.search(about) or _TEMPLATE.search(about):
        return False
    return not any(item.blocks for item in listing.items)
