"""Links between documents: where they lead, and which lead nowhere. Nothing is fetched."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from tocsin.base.source import Source
from tocsin.core.policy import Finding
from tocsin.runbook.document import Document, Link
from tocsin.runbook.findings import CATALOGUE, did_you_mean

_MARKUP = re.compile(r"[^\w\- ]", re.UNICODE)
_OWN_ANCHOR = re.compile(r"\s*\{#(?P<id>[\w:.-]+)\}\s*$")
_HTML_ANCHOR = re.compile(r"<\w+[^>]*?\s(?:id|name)\s*=\s*[\"']?(?P<id>[\w:.-]+)", re.IGNORECASE)
_ELSEWHERE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//|/|\{\{|<|\$)", re.IGNORECASE)
_DOCUMENT = re.compile(r"\.(?:md|markdown)$", re.IGNORECASE)
_HYPHENS = re.compile(r"-{2,}")
_LINE_ANCHOR = re.compile(r"^L\d+(?:-L?\d+)?$")


class Target(NamedTuple):
    """Where a link leads: a file as a normal path, and an anchor, "" for none."""

    file: str
    anchor: str


def anchor_of(heading: str) -> str:
    """Return the anchor of a heading's plain text, as GitHub and GitLab make it."""
    own = _OWN_ANCHOR.search(heading)
    if own is not None:
        return own["id"]
    text = unicodedata.normalize("NFC", heading).strip().lower()
    return _MARKUP.sub("", text).replace(" ", "-")


def resolve(file: str, target: str) -> Target | None:
    """Return where a link of a document leads within its folder tree; None for one that leaves it."""
    target = target.strip()
    if not target or _ELSEWHERE.match(target):
        return None
    path, _, anchor = target.partition("#")
    path = unquote(path.partition("?")[0])
    if not path:
        return Target(file, unquote(anchor))
    whole = posixpath.normpath(posixpath.join(posixpath.dirname(file.replace("\\", "/")), path))
    return Target(whole, unquote(anchor))


def anchors_of(document: Document) -> tuple[str, ...]:
    """Return the anchors of a document in order: of its headings, and those written as HTML."""
    found: list[str] = []
    times: dict[str, int] = {}
    for section in document.root.walk():
        if section.level:
            anchor = anchor_of(section.title.plain)
            count = times[anchor] = times.get(anchor, -1) + 1
            found.append(f"{anchor}-{count}" if count else anchor)
    for line in document.lines:
        if "<" in line:
            found.extend(match["id"] for match in _HTML_ANCHOR.finditer(line[:2000]))
    return tuple(found)


class Linked(NamedTuple):
    """A document with its anchors, as written and as compared, and where its links lead."""

    document: Document
    anchors: tuple[str, ...]
    known: frozenset[str]
    targets: tuple[tuple[Link, Target], ...]


def linked(document: Document) -> Linked:
    """Return what a document offers to links, and where its own lead within the folder tree."""
    anchors = anchors_of(document)
    pairs = ((link, resolve(document.file, link.target)) for link in document.links)
    targets = tuple((link, target) for link, target in pairs if target is not None)
    return Linked(document, anchors, frozenset(map(_folded, anchors)), targets)


def dead_anchors(documents: Sequence[Linked]) -> Iterator[Finding]:
    """Yield a finding for each link to a heading that its document, being one of these, has not."""
    by_file = {each.document.file: each for each in documents}
    for each in documents:
        for link, target in each.targets:
            there = by_file.get(target.file)
            if there is None or not target.anchor or _folded(target.anchor) in there.known:
                continue
            if _LINE_ANCHOR.match(target.anchor):
                continue
            where = "This document" if there is each else target.file
            yield _finding(
                each.document,
                link,
                f"{where} has no heading \u201c#{target.anchor}\u201d.",
                _hint(target.anchor, there.anchors, "#"),
            )


def dead_files(
    documents: Mapping[str, Document], exists: Callable[[str], bool]
) -> Iterator[Finding]:
    """Yield a finding for each link, or picture, to a file that is not there.

    ``exists`` answers for a path relative to where the documents' own paths begin.
    """
    names = [posixpath.basename(file) for file in documents]
    asked = lru_cache(maxsize=None)(exists)
    for document in documents.values():
        for link in document.links:
            target = resolve(document.file, link.target)
            if target is None or target.file in documents or asked(target.file):
                continue
            # Many renderers leave the ending out.
            if not _DOCUMENT.search(target.file) and asked(f"{target.file}.md"):
                continue
            what = "This picture is" if link.is_image else f"\u201c{link.target}\u201d is"
            hint = did_you_mean(posixpath.basename(target.file), names) or "Correct the path."
            yield _finding(document, link, f"{what} not there.", hint)


def _folded(anchor: str) -> str:
    return _HYPHENS.sub("-", anchor.casefold()).strip("-")


def _hint(anchor: str, known: Sequence[str], mark: str) -> str:
    near = did_you_mean(anchor, known)
    return near.replace("\u201c", f"\u201c{mark}", 1) if near else "Correct the anchor."


def _finding(document: Document, link: Link, message: str, remedy: str) -> Finding:
    source = Source(document.file, link.line, document.lines[link.line - 1].strip())
    return Finding("T162", CATALOGUE["T162"][0], source, link.column, message, remedy)
