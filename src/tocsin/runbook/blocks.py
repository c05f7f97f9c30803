"""What a Markdown document is made of: sections, blocks and lines that know where they stand.

Line numbers count from 1 and are those of the file; nothing here knows what a runbook is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec

_COLON_LEAD = re.compile(r"^([^:\n]{1,60}?)\s*:(?:\s+|$)")


class Code(msgspec.Struct, frozen=True):
    """A back-ticked span. ``column`` is that of its first character, counted from 1."""

    text: str
    line: int
    column: int


class Inline(msgspec.Struct, frozen=True):
    """Running text. ``plain`` is without emphasis; ``lead`` is its bold or back-ticked opening.

    ``rest`` is ``plain`` after the lead and its colon or dash; equal to ``plain`` without a lead.
    ``is_label`` says that the lead is all there is, as in ``**Symptoms:**``.
    """

    raw: str
    plain: str
    line: int
    end: int
    lead: str = ""
    rest: str = ""
    codes: tuple[Code, ...] = ()
    is_label: bool = False
    checkbox: bool = False

    @property
    def before_colon(self) -> str:
        """Return the bold lead, or what stands before the first colon, or nothing."""
        if self.lead:
            return self.lead
        found = _COLON_LEAD.match(self.plain)
        return found[1] if found else ""

    @property
    def after_colon(self) -> str:
        """Return what follows ``before_colon``; all of it when there is none."""
        if self.lead:
            return self.rest
        found = _COLON_LEAD.match(self.plain)
        return self.plain[found.end() :] if found else self.plain


class Paragraph(msgspec.Struct, frozen=True):
    """A paragraph, of one line or several. ``quoted`` is one in a quotation or an admonition."""

    text: Inline
    line: int
    end: int
    quoted: bool = False


class Fence(msgspec.Struct, frozen=True):
    """A fenced or indented code block. ``body_line`` is the line of its first content line."""

    language: str
    content: str
    line: int
    end: int
    body_line: int
    indent: int
    closed: bool


class Item(msgspec.Struct, frozen=True):
    """One list item: its first paragraph and what is nested in it."""

    text: Inline
    line: int
    end: int
    blocks: tuple[Block, ...] = ()


class Listing(msgspec.Struct, frozen=True):
    """A list."""

    ordered: bool
    items: tuple[Item, ...]
    line: int
    end: int


class Row(msgspec.Struct, frozen=True):
    """One row of a table."""

    cells: tuple[Inline, ...]
    line: int


class Table(msgspec.Struct, frozen=True):
    """A table with its header."""

    header: tuple[Inline, ...]
    rows: tuple[Row, ...]
    line: int
    end: int


class Other(msgspec.Struct, frozen=True):
    """A rule, raw HTML, anything that carries no words of its own."""

    kind: str
    line: int
    end: int


Block: TypeAlias = Paragraph | Fence | Listing | Table | Other


class Group(msgspec.Struct, frozen=True):
    """Blocks under one bold label, or those before the first. ``label`` is "" for the latter."""

    label: str
    line: int
    blocks: tuple[Block, ...]


class Section(msgspec.Struct, frozen=True):
    """A heading with what follows it up to the next heading of its own level or above.

    The root has level 0 and no title.
    """

    title: Inline
    level: int
    blocks: tuple[Block, ...]
    sections: tuple[Section, ...]

    @property
    def line(self) -> int:
        """Return the line of the heading."""
        return self.title.line

    def groups(self) -> tuple[Group, ...]:
        """Return the section's own blocks, split at bold labels such as ``**Symptoms:**``."""
        return _split(self.blocks)

    def walk(self) -> Iterator[Section]:
        """Yield this section and all below it, in document order."""
        yield self
        for section in self.sections:
            yield from section.walk()


class Link(msgspec.Struct, frozen=True):
    """A link or a picture: its target as written, and where that stands, both from 1."""

    target: str
    line: int
    column: int
    is_image: bool = False


class Document(msgspec.Struct, frozen=True):
    """One file. ``lines[0]`` is line 1; ``front_matter`` is the number of its lines at the top."""

    file: str
    lines: tuple[str, ...]
    root: Section
    front_matter: int = 0
    front_title: str = ""
    links: tuple[Link, ...] = ()

    @property
    def title_section(self) -> Section | None:
        """Return the section of the only first-level heading, which is the document's title."""
        tops = [s for s in self.root.sections if s.level == 1]
        return tops[0] if len(tops) == 1 else None

    @property
    def title(self) -> str:
        """Return the title a reader would give it: the first heading, or what front matter says."""
        section = self.title_section or next(iter(self.root.sections), None)
        return section.title.plain if section else self.front_title

    @property
    def top_sections(self) -> tuple[Section, ...]:
        """Return the sections below the title, or all of them where there is no single title."""
        title = self.title_section
        if title is None:
            return self.root.sections
        others = tuple(s for s in self.root.sections if s is not title)
        return tuple(sorted(title.sections + others, key=lambda s: s.line))


def rows_of(blocks: Sequence[Block]) -> Iterator[tuple[Item, int]]:
    """Yield every list item of these blocks with its depth, outer ones first."""
    for block in blocks:
        if isinstance(block, Listing):
            for item in block.items:
                yield item, 0
                for inner, depth in rows_of(item.blocks):
                    yield inner, depth + 1


def _split(blocks: Sequence[Block]) -> tuple[Group, ...]:
    groups: list[Group] = []
    label, line, held = "", blocks[0].line if blocks else 1, list[Block]()
    for block in blocks:
        if isinstance(block, Paragraph) and not block.quoted and (name := _label_of(block.text)):
            if held or label:
                groups.append(Group(label, line, tuple(held)))
            label, line, held = name, block.line, []
            if not block.text.is_label and block.text.rest:
                held.append(block)
        else:
            held.append(block)
    if held or label:
        groups.append(Group(label, line, tuple(held)))
    return tuple(groups)


def _label_of(text: Inline) -> str:
    if text.is_label:
        return text.lead
    if text.lead and text.raw.lstrip().startswith("**") and ":" in text.raw[: len(text.lead) + 6]:
        return text.lead
    words = text.plain.strip()
    if words.endswith(":") and len(words.split()) <= 5 and text.line == text.end:
        return words[:-1]
    return ""
