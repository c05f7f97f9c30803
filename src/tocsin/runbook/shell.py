"""Shell text as statements of plain words, without ever running or expanding it.

Placeholders such as ``<pod-name>`` would be redirections to a shell, so they are lifted out, at
the same length, before the text is parsed; every column still points into the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

# "$ ", "% ", "user@host:~$ ", "[root@host ~]# ": what a terminal writes before a command.
_PROMPT = re.compile(
    r"^(?P<indent>\s*)(?:\$|%|\u276f|\u279c|\(?[\w.-]{1,40}@[\w.-]{1,60}[: ]?[\w~/.-]{0,60}[$#]|\[[\w.-]{1,40}@[\w.-]{1,60} [^\]]{0,60}\][$#])\s(?=\S)"
)
# Words of templates, and "{end}" of a path through JSON, are no placeholders.
_OF_TEMPLATES = r"(?!\s*(?:end|else|range|if|with|template|define|block)\b)"
_HOLES = (
    re.compile(rf"\{{\{{{_OF_TEMPLATES}\s*[A-Za-z_][\w.-]*\s*\}}\}}"),
    re.compile(r"(?<![<\w])<[A-Za-z][\w.:/-]*(?: [\w.:/-]+)*>(?!\w)"),
    re.compile(rf"(?<![$\w{{%])\{{{_OF_TEMPLATES}[A-Za-z][\w-]*\}}"),
    re.compile(r"(?<![\w$\[\]])\[(?![a-zA-Z]-[a-zA-Z])[A-Za-z][\w -]{1,30}\](?![\w\]*+?])"),
)
_HOLE_EDGE = re.compile(r"[<>{}\[\] ]")
_TO_NOWHERE = (
    "2>/dev/null",
    "2>&1",
    ">/dev/null",
    "&>/dev/null",
    "1>/dev/null",
    ">&2",
    "1>&2",
    "</dev/null",
)
_REPAIR_ROWS_MAX = 12
# No file is called like an address, so the shell would leave its "?" alone.
_URL = re.compile(
    r"^[a-z]+://|^(?:localhost|[\w-]+\.[\w.-]+|[\w.-]+(?=:\d)|\$\{?\w+\}?)(?::\d+)?/[^*]*$"
)
# Nor like a path through JSON: "jsonpath={.items[*].spec}", "custom-columns=NAME:.spec[*]".
_PATH_THROUGH_JSON = re.compile(
    r"^(?:-o=?|--output=)?(?:jsonpath=\{|custom-columns=)[^\s'\"`$\\]*$"
)
_BRACES = re.compile(r"\{[^{}]*(?:,|\.\.)[^{}]*\}")
_NAME = re.compile(r"^[A-Za-z_]\w*$")


class Word(msgspec.Struct, frozen=True):
    """One word of a command after quoting is undone. ``line`` and ``column`` count from 1."""

    text: str
    line: int
    column: int


class Statement(msgspec.Struct, frozen=True):
    """One statement. ``words`` is its first command; ``filters`` what its output is piped into.

    ``trouble`` says in words why only a shell could run it, or is empty.
    """

    text: str
    line: int
    column: int
    end: int
    words: tuple[Word, ...]
    filters: tuple[tuple[Word, ...], ...] = ()
    trouble: str = ""
    broken: bool = False


class Comment(msgspec.Struct, frozen=True):
    """Comment lines that follow each other, each without its sign."""

    texts: tuple[str, ...]
    line: int
    end: int


class Output(msgspec.Struct, frozen=True):
    """A line that is pasted output, in a block whose commands carry a prompt."""

    line: int


Piece: TypeAlias = Statement | Comment | Output


class Row(msgspec.Struct, frozen=True):
    """One line of shell text: where it stands, and how many characters stand before it."""

    text: str
    line: int
    shift: int


def read_shell(rows: Sequence[Row]) -> tuple[Piece, ...]:
    """Read lines of shell text, in order. Text that is no shell becomes a broken statement."""
    rows, outputs = _without_prompts(rows)
    pieces: list[Piece] = [*outputs, *_parse(rows)]
    return tuple(_merge_comments(sorted(pieces, key=lambda piece: piece.line)))


def _without_prompts(rows: Sequence[Row]) -> tuple[list[Row], list[Output]]:
    if not any(_PROMPT.match(row.text) for row in rows):
        return list(rows), []
    kept: list[Row] = []
    outputs: list[Output] = []
    continues = False
    for row in rows:
        if prompt := _PROMPT.match(row.text):
            text = " " * prompt.end() + row.text[prompt.end() :]
        elif continues or not row.text.strip() or row.text.lstrip().startswith("#"):
            text = row.text
        else:
            outputs.append(Output(row.line))
            text = ""
        continues = text.rstrip().endswith("\\") or (continues and _is_open(kept, text))
        kept.append(Row(text, row.line, row.shift))
        if prompt and not continues:
            continues = _is_open([], text)
    return kept, outputs


def _is_open(_before: Sequence[Row], text: str) -> bool:
    """Say whether a quotation begun on this line goes on below it."""
    return text.count('"') % 2 == 1 or text.count("'") % 2 == 1


def _parse(rows: Sequence[Row]) -> Iterator[Statement | Comment]:
    whole = _Text(rows)
    if not whole.root.has_error:
        yield from whole.pieces()
        return
    # One line that is no shell would spoil its neighbours, so each statement is tried alone.
    at = 0
    while at < len(rows):
        if not rows[at].text.strip():
            at += 1
            continue
        for end in range(at + 1, min(at + _REPAIR_ROWS_MAX, len(rows)) + 1):
            part = _Text(rows[at:end])
            if not part.root.has_error:
                yield from part.pieces()
                at = end
                break
        else:
            yield _Text(rows[at : at + 1]).as_broken()
            at += 1


def _merge_comments(pieces: Sequence[Piece]) -> Iterator[Piece]:
    held: Comment | None = None
    for piece in pieces:
        if isinstance(piece, Comment) and held is not None and piece.line == held.end + 1:
            held = Comment((*held.texts, *piece.texts), held.line, piece.end)
            continue
        if held is not None:
            yield held
        held = piece if isinstance(piece, Comment) else None
        if held is None:
            yield piece
    if held is not None:
        yield held


_PLAIN = bytes(byte if byte < 0x80 else ord("x") for byte in range(256))


@cache
def _parser() -> Parser:
    # Imported late: most starts of the program read a compiled runbook or none at all.
    import tree_sitter_bash
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_bash.language()))


class _Text:
    """Rows as one text, parsed with its placeholders lifted."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self._rows = rows
        self._bytes = "\n".join(row.text for row in rows).encode("utf-8", "replace")
        lifted = "\n".join(_lift(row.text) for row in rows).encode("utf-8", "replace")
        # The grammar's scanner asks the C library about characters far outside of its tables, and
        # the process dies of it. To a shell all of them are letters, byte for byte.
        self.root = _parser().parse(lifted.translate(_PLAIN)).root_node

    def pieces(self) -> Iterator[Statement | Comment]:
        last_row = -1
        children = self.root.children
        for at, node in enumerate(children):
            if node.type == "comment":
                if node.start_point.row != last_row:
                    line = self._rows[node.start_point.row].line
                    yield Comment((self.text(node).lstrip("# \t").rstrip(),), line, line)
            elif node.is_named:
                following = children[at + 1].type if at + 1 < len(children) else ""
                yield self._statement(node, background=following == "&")
                last_row = node.end_point.row

    def as_broken(self) -> Statement:
        row = self._rows[0]
        text = row.text.strip()
        column = row.shift + len(row.text) - len(row.text.lstrip()) + 1
        words = tuple(
            Word(found[0], row.line, row.shift + found.start() + 1)
            for found in re.finditer(r"\S+", row.text)
        )
        trouble = "it does not parse as a command"
        return Statement(text, row.line, column, row.line, words, (), trouble, broken=True)

    def text(self, node: Node) -> str:
        return self.between(node.start_byte, node.end_byte)

    def between(self, start: int, end: int) -> str:
        return self._bytes[start:end].decode("utf-8", "replace")

    def _statement(self, node: Node, *, background: bool) -> Statement:
        line, column = self._place(node)
        end = self._rows[min(node.end_point.row, len(self._rows) - 1)].line
        reader = _Commands(self)
        commands = reader.read(node)
        trouble = "it would run in the background" if background else reader.trouble
        words = commands[0] if commands else ()
        return Statement(
            self.text(node).strip(), line, column, end, words, tuple(commands[1:]), trouble
        )

    def _place(self, node: Node) -> tuple[int, int]:
        row = self._rows[min(node.start_point.row, len(self._rows) - 1)]
        before = row.text.encode("utf-8", "replace")[: node.start_point.column]
        return row.line, row.shift + len(before.decode("utf-8", "replace")) + 1

    def word(self, node: Node, text: str) -> Word:
        line, column = self._place(node)
        return Word(text, line, column)


class _Commands:
    """Turns a statement into the commands of one pipeline, noting what stands in the way."""

    def __init__(self, text: _Text) -> None:
        self._text = text
        self.trouble = ""

    def read(self, node: Node) -> list[tuple[Word, ...]]:
        if node.type == "command":
            return [self._command(node)]
        if node.type == "pipeline":
            commands: list[tuple[Word, ...]] = []
            for child in node.children:
                if child.type == "|&":
                    self._refuse("it pipes the error output")
                elif child.is_named:
                    commands.extend(self.read(child))
            return commands
        if node.type == "redirected_statement":
            return self._redirected(node)
        self._refuse(_TROUBLE.get(node.type, "it is more than one plain command"))
        return self._first_command(node)

    def _first_command(self, node: Node) -> list[tuple[Word, ...]]:
        queue = [node]
        while queue:
            current = queue.pop(0)
            if current.type == "command":
                return [self._command(current)]
            queue[:0] = current.named_children[:4]
        return []

    def _redirected(self, node: Node) -> list[tuple[Word, ...]]:
        commands: list[tuple[Word, ...]] = []
        for child in node.named_children:
            if child.type in ("file_redirect", "heredoc_redirect", "herestring_redirect"):
                words = self._text.text(child).replace(" ", "")
                if words not in _TO_NOWHERE:
                    self._refuse("it redirects to or from a file")
            else:
                commands.extend(self.read(child))
        return commands

    def _command(self, node: Node) -> tuple[Word, ...]:
        words: list[Word] = []
        for child in node.children:
            if child.type == "variable_assignment":
                self._refuse("it sets a variable for the command")
            elif child.type == "command_name":
                inner = child.children[0] if child.children else child
                words.append(self._text.word(child, self._value(inner)))
            elif child.type in ("file_redirect", "herestring_redirect", "heredoc_redirect"):
                self._refuse("it redirects to or from a file")
            elif child.is_named:
                words.append(self._text.word(child, self._value(child)))
        return tuple(words)

    def _value(self, node: Node) -> str:
        text = self._text.text(node)
        if node.type in (
            "word",
            "number",
            "command_name",
            "test_operator",
            "special_variable_name",
        ):
            return self._unquoted(text)
        if node.type == "raw_string":
            return text[1:-1]
        if node.type == "string":
            return self._quoted(node)
        if node.type in ("simple_expansion", "expansion"):
            if not _NAME.match(text.strip("${}")):
                self._refuse("it computes a value")
            return text
        if node.type == "concatenation":
            bare = "".join(self._text.text(c) for c in node.named_children if c.type == "word")
            if _BRACES.search(_lift(bare)):
                self._refuse("the shell would expand a word")
            if _PATH_THROUGH_JSON.match(text):
                return text
            return self._joined(node)
        self._refuse(_TROUBLE.get(node.type, "it needs the shell to expand a word"))
        return text

    def _joined(self, node: Node) -> str:
        return "".join(self._value(child) for child in node.named_children)

    def _unquoted(self, text: str) -> str:
        lifted = _lift(text)
        literal = _URL.match(text) or _PATH_THROUGH_JSON.match(text)
        if not literal and re.search(r"(?<!\\)[*?]", lifted):
            self._refuse("the shell would expand a pattern")
        if _BRACES.search(lifted) or lifted.startswith("~"):
            self._refuse("the shell would expand a word")
        return re.sub(r"\\(\n|.)", lambda m: "" if m[1] == "\n" else m[1], text, flags=re.DOTALL)

    def _quoted(self, node: Node) -> str:
        pieces: list[str] = []
        at = node.start_byte + 1
        for child in node.named_children:
            if child.type in ("simple_expansion", "expansion", "command_substitution"):
                pieces.append(self._literal(at, child.start_byte))
                pieces.append(self._value(child))
                at = child.end_byte
            elif child.type not in ("string_content",):
                self._refuse("it computes a value")
        pieces.append(self._literal(at, node.end_byte - 1))
        return "".join(pieces)

    def _literal(self, start: int, end: int) -> str:
        raw = self._text.between(start, end)
        return re.sub(r'\\([$`"\\]|\n)', lambda m: "" if m[1] == "\n" else m[1], raw)

    def _refuse(self, why: str) -> None:
        self.trouble = self.trouble or why


_TROUBLE = {
    "list": "it joins commands",
    "command_substitution": "it computes a value with another command",
    "process_substitution": "it computes a value with another command",
    "arithmetic_expansion": "it computes a value",
    "ansi_c_string": "it uses the shell's own quoting",
    "translated_string": "it uses the shell's own quoting",
    "variable_assignment": "it sets a variable",
    "variable_assignments": "it sets variables",
    "declaration_command": "it sets a variable",
    "for_statement": "it is a loop",
    "c_style_for_statement": "it is a loop",
    "while_statement": "it is a loop",
    "if_statement": "it decides something",
    "case_statement": "it decides something",
    "function_definition": "it defines a function",
    "test_command": "it tests a condition",
    "subshell": "it opens another shell",
    "compound_statement": "it groups commands",
    "negated_command": "it negates a result",
}


def holes_in(word: str) -> tuple[str, ...]:
    """Return the placeholders in a word: ``$VAR``, ``${VAR}``, ``<name>``, ``{name}``, ``[name]``."""
    found = [m[0] for pattern in _HOLES for m in pattern.finditer(word)]
    found.extend(m[0] for m in re.finditer(r"\$(?:[A-Za-z_]\w*|\{\w+\})", word))
    return tuple(dict.fromkeys(found))


def _lift(text: str) -> str:
    for pattern in _HOLES:
        text = pattern.sub(lambda found: _HOLE_EDGE.sub("_", found[0]), text)
    return text
