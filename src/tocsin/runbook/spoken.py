"""One command, asked about by itself: what ``tocsin classify`` answers."""

from __future__ import annotations

import re

import msgspec

from tocsin.core.policy import CommandClass
from tocsin.runbook.commands import judge
from tocsin.runbook.document import read_document
from tocsin.runbook.notes import Notes
from tocsin.runbook.shell import Row, Statement, holes_in, read_shell

_VARIABLE = re.compile(r"^\$\{?(\w+)\}?$")
_UPPER = re.compile(r"^(?:[a-z]+/)?([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)$")
# Of several commands the worst one counts.
_ORDER = (
    CommandClass.MUTATING,
    CommandClass.NEEDS_SHELL,
    CommandClass.SENSITIVE_READ,
    CommandClass.LONG_RUNNING,
    CommandClass.READ_ONLY,
    CommandClass.NOT_A_COMMAND,
)


class Placeholder(msgspec.Struct, frozen=True):
    """A value that must be filled in: its name, and how it stands in the text."""

    name: str
    text: str


class Classified(msgspec.Struct, frozen=True):
    """The answer. ``argv`` is None where the text cannot run without a shell, or is no command."""

    text: str
    kind: CommandClass
    why: str
    program: str | None = None
    argv: tuple[str, ...] | None = None
    placeholders: tuple[Placeholder, ...] = ()


def classify_text(text: str) -> Classified:
    """Judge a command as somebody wrote it. Any text is judged; nothing is raised."""
    notes = Notes(read_document("", text))
    rows = tuple(Row(line, number, 0) for number, line in enumerate(text.split("\n"), start=1))
    statements = [piece for piece in read_shell(rows) if isinstance(piece, Statement)]
    judged = [judge(statement, notes).command for statement in statements]
    if not judged:
        return Classified(text, CommandClass.NOT_A_COMMAND, "there is no command in it")
    worst = min(judged, key=lambda command: _ORDER.index(command.kind))
    holes = tuple(
        dict.fromkeys(
            hole
            for statement in statements
            for word in statement.words
            for hole in _holes(word.text)
        )
    )
    if len(judged) > 1:
        why = f"{len(judged)} commands; the one that counts: {worst.why}"
        return Classified(text, worst.kind, why, worst.program, None, holes)
    return Classified(text, worst.kind, worst.why, worst.program, worst.argv, holes)


def _holes(word: str) -> list[Placeholder]:
    found = [Placeholder(_name(hole), hole) for hole in holes_in(word)]
    if upper := _UPPER.match(word):
        found.append(Placeholder(upper[1].lower(), upper[1]))
    return found


def _name(hole: str) -> str:
    variable = _VARIABLE.match(hole)
    bare = variable[1] if variable else hole.strip("<>[]{} ")
    return re.sub(r"[^a-z0-9]+", "_", bare.lower()).strip("_")
