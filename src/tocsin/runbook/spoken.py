"""One command, asked about by itself: what ``tocsin classify`` answers."""

from __future__ import annotations

import msgspec

from tocsin.core.policy import CommandClass, Placeholder
from tocsin.runbook.commands import judge
from tocsin.runbook.document import read_document
from tocsin.runbook.notes import Notes
from tocsin.runbook.shell import Row, Statement, read_shell

# Of several commands the worst one counts.
_ORDER = (
    CommandClass.MUTATING,
    CommandClass.SENSITIVE_READ,
    CommandClass.NEEDS_SHELL,
    CommandClass.LONG_RUNNING,
    CommandClass.READ_ONLY,
    CommandClass.NOT_A_COMMAND,
)
_CHARS_MAX = 100_000


class Classified(msgspec.Struct, frozen=True):
    """The answer. ``argv`` is None where the text cannot run without a shell, or is no command.

    ``kind`` is the class of the text as written: what never ends stays so, though its argv may be
    a form of it that ends.
    """

    text: str
    kind: CommandClass
    why: str
    program: str | None = None
    argv: tuple[str, ...] | None = None
    placeholders: tuple[Placeholder, ...] = ()


def classify_text(text: str) -> Classified:
    """Judge a command as somebody wrote it. Any text is judged; nothing is raised."""
    if len(text) > _CHARS_MAX:
        return Classified(text, CommandClass.MUTATING, "it is too long to be judged")
    notes = Notes(read_document("", text))
    lines = text.replace("\r\n", "\n").removesuffix("\r").split("\n")
    rows = tuple(Row(line, number, 0) for number, line in enumerate(lines, start=1))
    statements = [piece for piece in read_shell(rows) if isinstance(piece, Statement)]
    judged = [judge(statement, notes) for statement in statements]
    if not judged:
        return Classified(text, CommandClass.NOT_A_COMMAND, "there is no command in it")
    worst = min(judged, key=lambda one: _ORDER.index(one.as_written))
    kind, why, program = worst.as_written, worst.command.why, worst.command.program
    if len(judged) == 1:
        return Classified(text, kind, why, program, worst.command.argv, worst.command.placeholders)
    why = f"{len(judged)} commands; the one that counts: {why}"
    joined = len({statement.line for statement in statements}) < len(statements)
    if joined and kind not in (CommandClass.MUTATING, CommandClass.NOT_A_COMMAND):
        kind, why = CommandClass.NEEDS_SHELL, "it joins commands"
    holes = tuple(dict.fromkeys(hole for one in judged for hole in one.command.placeholders))
    return Classified(text, kind, why, program, None, holes)
