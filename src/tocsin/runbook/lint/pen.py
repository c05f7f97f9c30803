"""How a check writes down what it found: at the words that are meant, on the line they stand on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from tocsin.base.source import Source
from tocsin.core.policy import Finding, Level
from tocsin.runbook.document import split_lines
from tocsin.runbook.findings import CATALOGUE
from tocsin.runbook.phrases import listed


class Texts:
    """The documents by file, in lines; a file that is not here has none."""

    def __init__(self, documents: Mapping[str, str]) -> None:
        self._documents = documents
        self._lines: dict[str, list[str]] = {}

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Return the files there are, in the order given."""
        return tuple(self._documents)

    def whole(self, file: str) -> str:
        """Return the text of a file, "" for one that is not here."""
        return self._documents.get(file, "")

    def lines(self, file: str) -> list[str]:
        """Return the lines of a file."""
        if file not in self._lines:
            self._lines[file] = split_lines(self._documents.get(file, ""))
        return self._lines[file]

    def line(self, source: Source) -> str:
        """Return the line that a source names, "" for one beyond the file."""
        lines = self.lines(source.file)
        return lines[source.line - 1] if 0 < source.line <= len(lines) else ""


class Pen:
    """Writes findings."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts
        self.findings: list[Finding] = []

    def find(
        self,
        code: str,
        source: Source,
        words: str,
        message: str,
        remedy: str,
        *,
        level: Level | None = None,
    ) -> None:
        """Record a finding at ``words`` on the line of ``source``; at the line's text without them.

        ``level`` is for the case that is worse than the code usually is.
        """
        line = self.texts.line(source)
        at = line.find(words) if words else -1
        # Folded, a letter may be longer than it is; then places in the folded line mean nothing.
        if at < 0 and words and len(line.casefold()) == len(line):
            at = line.casefold().find(words.casefold())
        end = min(at + len(words), len(line))
        if at < 0:
            at, end = len(line) - len(line.lstrip()), len(line.rstrip())
        self.findings.append(
            Finding(
                code, level or CATALOGUE[code][0], source, at + 1, message, remedy, max(end, at) + 1
            )
        )


def lines_said(numbers: Sequence[int]) -> str:
    """Return "line 7" or "lines 3, 5 and 9"."""
    return f"line{'' if len(numbers) == 1 else 's'} {listed([str(n) for n in numbers])}"
