"""Tests that stand in a runbook: fences marked ``tocsin-test``. They are no part of what it says."""

from __future__ import annotations

from msgspec.structs import replace

from tocsin.runbook.document import Block, Document, Fence, Item, Listing, Section

MARK = "tocsin-test"


def is_trial(block: Block) -> bool:
    """Say whether a block is a test of the runbook."""
    return isinstance(block, Fence) and block.language.split(maxsplit=1)[:1] == [MARK]


def without_trials(document: Document) -> tuple[Document, tuple[Fence, ...]]:
    """Return the document as its readers get it, and the tests that were taken out, in order."""
    found: list[Fence] = []
    root = _section(document.root, found)
    return (replace(document, root=root), tuple(found)) if found else (document, ())


def _section(section: Section, found: list[Fence]) -> Section:
    blocks = _blocks(section.blocks, found)
    inner = tuple(_section(each, found) for each in section.sections)
    return replace(section, blocks=blocks, sections=inner)


def _blocks(blocks: tuple[Block, ...], found: list[Fence]) -> tuple[Block, ...]:
    kept: list[Block] = []
    for block in blocks:
        if is_trial(block):
            assert isinstance(block, Fence)
            found.append(block)
        elif isinstance(block, Listing):
            items = tuple(_item(item, found) for item in block.items)
            kept.append(replace(block, items=items))
        else:
            kept.append(block)
    return tuple(kept)


def _item(item: Item, found: list[Fence]) -> Item:
    return replace(item, blocks=_blocks(item.blocks, found)) if item.blocks else item
