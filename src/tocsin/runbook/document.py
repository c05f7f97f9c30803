"""Any text as a Markdown document: sections, blocks and lines that know where they stand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from urllib.parse import unquote

import msgspec
from markdown_it import MarkdownIt
from markdown_it.token import Token

from tocsin.runbook.blocks import (
    Block,
    Code,
    Document,
    Fence,
    Group,
    Inline,
    Item,
    Link,
    Listing,
    Other,
    Paragraph,
    Row,
    Section,
    Table,
    rows_of,
)
from tocsin.runbook.wrappers import unwrapped

__all__ = [
    "TEXT_MAX",
    "Block",
    "Code",
    "Document",
    "Fence",
    "Group",
    "Inline",
    "Item",
    "Link",
    "Listing",
    "Other",
    "Paragraph",
    "Row",
    "Section",
    "Table",
    "read_document",
    "rows_of",
    "split_lines",
]

_NEWLINE = re.compile(r"\r\n?|\n")
_CHECKBOX = re.compile(r"^\[[ xX]\]\s+")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_TITLE = re.compile(r"^title\s*[:=]\s*(?P<title>.*)$", re.IGNORECASE)
TEXT_MAX = 4_000
"""Characters of one paragraph, item or cell that are read for their meaning."""
_BLANKS = re.compile(r"[ \t]{2,}")
_LABELLED = re.compile(r"^\s*(?:\*\*[^*\n]{1,60}:\*\*|\*\*[^*\n]{1,60}\*\*\s*:)")
_AFTER_LEAD = re.compile(r"^\s*(?:[:\u2013\u2014]|-{1,2}(?=\s)|->|\u2192)?\s*")


def read_document(file: str, text: str) -> Document:
    """Read any text as Markdown. Every string is some document; nothing is raised."""
    lines = split_lines(text)
    front, front_title = _front_matter(lines)
    body = "\n".join([""] * front + unwrapped(lines[front:]))
    tokens = _markdown().parse(body)
    flat = _Flat(tokens, lines)
    root_blocks: list[Block] = []
    headings: list[tuple[int, Inline, list[Block]]] = []
    target = root_blocks
    while not flat.done:
        token = flat.peek
        if token.type == "heading_open" and token.level == 0:
            level, inline = flat.heading()
            target = []
            headings.append((level, inline, target))
        else:
            target.extend(flat.block())
    nowhere = Inline(raw="", plain="", line=1, end=1)
    root = Section(nowhere, 0, tuple(root_blocks), _nest(headings))
    return Document(file, tuple(lines), root, front, front_title, tuple(flat.links))


def split_lines(text: str) -> list[str]:
    """Return the lines of a text as Markdown counts them: only CR, LF and CRLF end a line."""
    return _NEWLINE.split(text)


@cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table")


def _front_matter(lines: list[str]) -> tuple[int, str]:
    if not lines or lines[0].strip() not in ("---", "+++"):
        return 0, ""
    closing = ("+++",) if lines[0].strip() == "+++" else ("---", "...")
    for index, line in enumerate(lines[1:60], start=1):
        if line.strip() in closing:
            found = (_TITLE.match(x) for x in lines[1:index])
            return index + 1, next((m["title"] for m in found if m), "").strip().strip("\"'")
    return 0, ""


def _nest(headings: list[tuple[int, Inline, list[Block]]]) -> tuple[Section, ...]:
    sections: list[Section] = []
    index = 0
    while index < len(headings):
        level, title, blocks = headings[index]
        end = index + 1
        while end < len(headings) and headings[end][0] > level:
            end += 1
        inner = _nest(headings[index + 1 : end])
        sections.append(Section(title, level, tuple(blocks), inner))
        index = end
    return tuple(sections)


class _Flat:
    """A cursor over markdown-it's flat token list."""

    def __init__(self, tokens: Sequence[Token], lines: Sequence[str]) -> None:
        self._tokens = tokens
        self._lines = lines
        self._at = 0
        self.links: list[Link] = []

    @property
    def done(self) -> bool:
        return self._at >= len(self._tokens)

    @property
    def peek(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def heading(self) -> tuple[int, Inline]:
        opening = self._next()
        inline = self._inline(self._next(), self._span(opening))
        self._next()
        return int(opening.tag[1:]), inline

    def block(self) -> list[Block]:
        token = self._next()
        line, end = self._span(token)
        if token.type == "paragraph_open":
            parts = self._parted(self._next(), line, end)
            self._next()
            return [Paragraph(text, text.line, text.end) for text in parts]
        if token.type == "heading_open":
            # A heading inside a list or a quotation opens no section; it reads as a paragraph.
            inline = self._inline(self._next(), (line, end))
            self._next()
            return [Paragraph(inline, line, end)]
        if token.type in ("fence", "code_block"):
            return [self._fence(token, line, end)]
        if token.type in ("bullet_list_open", "ordered_list_open"):
            return [self._listing(token, line)]
        if token.type == "table_open":
            return [self._table(line, end)]
        if token.type == "blockquote_open":
            blocks: list[Block] = []
            while self.peek.type != "blockquote_close":
                blocks.extend(self.block())
            self._next()
            return [
                msgspec.structs.replace(b, quoted=True) if isinstance(b, Paragraph) else b
                for b in blocks
            ]
        return [Other(token.type, line, end)]

    def _span(self, token: Token) -> tuple[int, int]:
        if token.map is None:
            return 1, 1
        start, end = token.map
        last = max(start + 1, min(end, len(self._lines)))
        while last > start + 1 and not self._lines[last - 1].strip():
            last -= 1
        return start + 1, last

    def _fence(self, token: Token, line: int, end: int) -> Fence:
        if token.type == "code_block":
            return Fence("", token.content, line, end, line, 4, closed=True)
        opening = self._lines[line - 1]
        indent = len(opening) - len(opening.lstrip())
        closed = end > line and self._lines[end - 1].strip().lstrip("> ").startswith(token.markup)
        language = token.info.strip().split(" ")[0].lower()
        return Fence(language, token.content, line, end, line + 1, indent, closed)

    def _listing(self, opening: Token, line: int) -> Listing:
        closing = opening.type.replace("open", "close")
        items: list[Item] = []
        while self.peek.type != closing:
            items.append(self._item())
        self._next()
        end = items[-1].end if items else line
        return Listing(opening.type.startswith("ordered"), tuple(items), line, end)

    def _item(self) -> Item:
        opening = self._next()
        line, end = self._span(opening)
        blocks: list[Block] = []
        while self.peek.type != "list_item_close":
            blocks.extend(self.block())
        self._next()
        if blocks and isinstance(blocks[0], Paragraph):
            return Item(blocks[0].text, line, end, tuple(blocks[1:]))
        return Item(Inline(raw="", plain="", line=line, end=line), line, end, tuple(blocks))

    def _table(self, line: int, end: int) -> Table:
        rows: list[Row] = []
        cells: list[Inline] = []
        while (token := self._next()).type != "table_close":
            if token.type == "tr_open":
                cells, row = [], self._span(token)
            elif token.type == "inline":
                cells.append(self._inline(token, row))
            elif token.type == "tr_close":
                rows.append(Row(tuple(cells), row[0]))
        header = rows[0].cells if rows else ()
        return Table(header, tuple(rows[1:]), line, end)

    def _parted(self, token: Token, line: int, end: int) -> Iterator[Inline]:
        """Yield a paragraph's text, apart where a line of it begins with a bold label and a colon."""
        raw, children = token.content, token.children or []
        rows = raw.split("\n")
        starts = [i for i, row in enumerate(rows) if i and _LABELLED.match(row)]
        breaks = [i for i, c in enumerate(children) if c.type in ("softbreak", "hardbreak")]
        if not starts or len(breaks) != len(rows) - 1:
            yield self._inline(token, (line, end))
            return
        for first, last in zip([0, *starts], [*starts, len(rows)], strict=True):
            part = token.copy()
            part.content = "\n".join(rows[first:last])
            begin = breaks[first - 1] + 1 if first else 0
            part.children = children[begin : breaks[last - 1] if last < len(rows) else None]
            yield self._inline(part, (line + first, line + last - 1 if last < len(rows) else end))

    def _inline(self, token: Token, span: tuple[int, int]) -> Inline:
        line, end = span
        raw = token.content
        checkbox = _CHECKBOX.match(raw)
        children = token.children or []
        if "[" in raw or "<" in raw:
            self.links.extend(self._links(children, line, end))
        plain = "".join(_words(child) for child in children)
        if checkbox:
            plain = _CHECKBOX.sub("", plain)
        # Nobody writes a rule of pages; readers may look at each place of a text more than once.
        plain = _BLANKS.sub(" ", plain).strip()[:TEXT_MAX]
        lead, is_strong = _lead(children)
        rest = plain
        if lead and plain.startswith(lead):
            rest = _AFTER_LEAD.sub("", plain[len(lead) :], count=1)
        lead = lead.strip().removesuffix(":").strip()
        return Inline(
            raw=raw,
            plain=plain,
            line=line,
            end=end,
            lead=lead,
            rest=rest.strip(),
            codes=self._codes(children, line, end),
            is_label=is_strong and bool(lead) and not rest.strip(),
            checkbox=checkbox is not None,
        )

    def _links(self, children: Sequence[Token], line: int, end: int) -> Iterator[Link]:
        place = (line, 0)
        for child in children:
            is_image = child.type == "image"
            if is_image or child.type == "link_open":
                target = str(child.attrGet("src" if is_image else "href") or "")
                found = self._place(target, place, end)
                place = found or place
                at, column = found or (line, 0)
                yield Link(unquote(target), at, column + 1, is_image)

    def _place(self, target: str, after: tuple[int, int], end: int) -> tuple[int, int] | None:
        """Return line and offset of a target; None for a reference, which is defined elsewhere."""
        first, begin = after
        for number in range(first, min(end, len(self._lines)) + 1):
            for written in (target, unquote(target)):
                start = begin if number == first else 0
                at = self._lines[number - 1].find(written, start) if written else -1
                if at >= 0:
                    return number, at
        return None

    def _codes(self, children: Sequence[Token], line: int, end: int) -> tuple[Code, ...]:
        codes: list[Code] = []
        at_line, at = line, 0
        for child in children:
            if child.type != "code_inline":
                continue
            for number in range(at_line, end + 1):
                text = self._lines[number - 1] if number <= len(self._lines) else ""
                start = text.find(child.markup + child.content, at if number == at_line else 0)
                if start >= 0:
                    column = start + len(child.markup)
                    codes.append(Code(child.content, number, column + 1))
                    at_line, at = number, column + len(child.content) + len(child.markup)
                    break
            else:
                # markdown-it strips one space inside ``` `x` ``` and joins lines: point at the line.
                codes.append(Code(child.content, line, 1))
        return tuple(codes)


def _words(token: Token) -> str:
    if token.type in ("softbreak", "hardbreak"):
        return " "
    if token.type == "html_inline":
        return "; " if _BREAK.fullmatch(token.content) else token.content
    if token.type == "image":
        return "".join(_words(child) for child in token.children or [])
    return token.content


def _lead(children: Sequence[Token]) -> tuple[str, bool]:
    """Return the bold or back-ticked words that open the text, and whether they are bold."""
    shown = [c for c in children if c.type != "text" or c.content.strip()]
    if not shown:
        return "", False
    if shown[0].type == "code_inline":
        return shown[0].content, False
    if shown[0].type != "strong_open":
        return "", False
    words: list[str] = []
    for child in shown[1:]:
        if child.type == "strong_close":
            break
        words.append(_words(child))
    return "".join(words), True
