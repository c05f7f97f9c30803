"""What the readers of one document write down while they read: findings, and the line ledger."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tocsin.base.source import Source
from tocsin.core.policy import Finding, LedgerEntry, Level, LineStatus
from tocsin.runbook.document import Block, Document, Fence, Item, Listing, Paragraph, Table
from tocsin.runbook.findings import CATALOGUE
from tocsin.runbook.messages import is_message
from tocsin.runbook.wrappers import is_wrapper

_MARKUP = re.compile(r"^\s*(?:>\s*)*(?:#{1,6}\s+|[-*+]\s+|\d+[.)]\s+)?(?:\[[ xX]\]\s+)?")
_EMPHASIS = re.compile(r"\*\*|__|`")
_TABLE_RULE = re.compile(r"^[\s|:\-]+$")


class Notes:
    """Collects findings and ledger marks for one document.

    A line keeps its first mark; a later reader that knows better says ``again=True``.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.findings: list[Finding] = []
        self._marks: dict[int, tuple[LineStatus, str]] = {}

    def source(self, line: int) -> Source:
        """Return the source of a line of this document, with its words."""
        quote = _EMPHASIS.sub("", _MARKUP.sub("", self._text(line), count=1)).strip()
        return Source(self.document.file, line, quote)

    def column(self, line: int, words: str) -> int:
        """Return where ``words`` begin on that line, or where the line's own text begins."""
        text = self._text(line)
        # Folded texts have other lengths: "\u00df" is "ss".
        found = re.search(re.escape(words), text, re.IGNORECASE) if words else None
        at = found.start() if found else -1
        if at < 0:
            at = len(text) - len(text.lstrip()) if text.strip() else 0
        return at + 1

    def find(
        self,
        code: str,
        line: int,
        at: int | str,
        message: str,
        remedy: str,
        *,
        level: Level | None = None,
    ) -> None:
        """Record a finding. ``at`` is a column, or the words to which it points.

        ``level`` is for the case that is worse than the code usually is.
        """
        column = self.column(line, at) if isinstance(at, str) else at
        source = self.source(line)
        self.findings.append(
            Finding(code, level or CATALOGUE[code][0], source, column, message, remedy)
        )

    def mark(
        self, line: int, status: LineStatus, rule: str, *, end: int = 0, again: bool = False
    ) -> None:
        """Account for a line, or for all lines up to and with ``end``."""
        for number in range(line, max(line, end) + 1):
            if again or number not in self._marks:
                self._marks[number] = (status, rule)

    def status(self, line: int) -> LineStatus | None:
        """Return how a line has been accounted for so far, or None."""
        found = self._marks.get(line)
        return found[0] if found else None

    def withdraw(self, codes: Sequence[str], line: int) -> None:
        """Take back findings of these codes on a line: a later reader knew what to do with it."""
        self.findings = [f for f in self.findings if f.source.line != line or f.code not in codes]

    def mark_block(self, block: Block, status: LineStatus, rule: str) -> None:
        """Account for all lines of a block that no reader has accounted for."""
        self.mark(block.line, status, rule, end=block.end)

    def mark_item(self, item: Item, status: LineStatus, rule: str) -> None:
        """Account for an item's own words, without what is nested in it."""
        self.mark(item.text.line, status, rule, end=item.text.end)

    def ledger(self) -> tuple[LedgerEntry, ...]:
        """Return one entry per non-blank line, filling in what no reader claimed."""
        self._claim_headings()
        entries: list[LedgerEntry] = []
        for number, text in enumerate(self.document.lines, start=1):
            if not text.strip():
                continue
            status, rule = self._marks.get(number) or self._leftover(number, text)
            entries.append(LedgerEntry(self.document.file, number, status, rule))
        return tuple(entries)

    def _claim_headings(self) -> None:
        for section in self.document.root.walk():
            if section.level:
                title = section.title
                self.mark(title.line, LineStatus.REFERENCE, "heading", end=title.end)
            for group in section.groups():
                if group.label:
                    self.mark(group.line, LineStatus.REFERENCE, "label of a group")
            self._claim_blocks(section.blocks)

    def _claim_blocks(self, blocks: tuple[Block, ...]) -> None:
        for block in blocks:
            if isinstance(block, Fence) and is_message(block):
                self.mark_block(block, LineStatus.TEMPLATE, "text to fill in")
            elif isinstance(block, Fence):
                self.mark_block(block, LineStatus.REFERENCE, "code block nothing refers to")
            elif isinstance(block, Table):
                self.mark_block(block, LineStatus.REFERENCE, "unread table")
            elif isinstance(block, Listing):
                self.mark_block(block, LineStatus.REFERENCE, "unread list")
            elif isinstance(block, Paragraph):
                self.mark_block(block, LineStatus.REFERENCE, "unread prose")
            else:
                self.mark_block(block, LineStatus.REFERENCE, "layout")

    def _leftover(self, number: int, text: str) -> tuple[LineStatus, str]:
        if number <= self.document.front_matter:
            return LineStatus.REFERENCE, "front matter"
        if _TABLE_RULE.match(text) or is_wrapper(text):
            return LineStatus.REFERENCE, "layout"
        return LineStatus.REFERENCE, "unread prose"

    def _text(self, line: int) -> str:
        lines = self.document.lines
        return lines[line - 1] if 0 < line <= len(lines) else ""
