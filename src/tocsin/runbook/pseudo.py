"""Headings that are none to Markdown: bold lines, where a document has nothing else to divide it."""

from __future__ import annotations

import re

from msgspec.structs import replace

from tocsin.runbook.document import Block, Document, Inline, Paragraph, Section
from tocsin.runbook.headings import meaning_of

_ENDS_IN_COLON = re.compile(r":\s*(?:\*\*|__)?\s*$|(?:\*\*|__)\s*:")


def with_pseudo_headings(document: Document) -> Document:
    """Return the document with its bold lines as sections, if it has no headings below its title.

    A bold line that ends in a colon is a label; it only counts where its words say what a section
    is about ("**Escalation:**").
    """
    if document.top_sections:
        return document
    title = document.title_section
    blocks = title.blocks if title is not None else document.root.blocks
    before, sections = _divided(blocks, (title.level if title is not None else 0) + 1)
    if not sections:
        return document
    if title is None:
        return replace(document, root=replace(document.root, blocks=before, sections=sections))
    changed = replace(title, blocks=before, sections=sections)
    return replace(document, root=replace(document.root, sections=(changed,)))


def _divided(
    blocks: tuple[Block, ...], level: int
) -> tuple[tuple[Block, ...], tuple[Section, ...]]:
    heads = [(i, b.text) for i, b in enumerate(blocks) if isinstance(b, Paragraph) and _heads(b)]
    if not heads:
        return blocks, ()
    ends = [i for i, _ in heads[1:]] + [len(blocks)]
    sections = tuple(
        Section(_titled(text), level, blocks[at + 1 : end], ())
        for (at, text), end in zip(heads, ends, strict=True)
    )
    return blocks[: heads[0][0]], sections


def _heads(block: Paragraph) -> bool:
    text = block.text
    if not text.is_label or not text.raw.lstrip().startswith(("**", "__")):
        return False
    return _ENDS_IN_COLON.search(text.raw) is None or meaning_of(text.lead) is not None


def _titled(text: Inline) -> Inline:
    return Inline(text.raw, text.lead, text.line, text.end)
