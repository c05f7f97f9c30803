"""Findings on a terminal: each with its place, the line it means, what it says and how to mend it."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from rich.console import Console
from rich.text import Text

from tocsin.core.policy import Finding, Level
from tocsin.reports.excerpt import excerpt, plain
from tocsin.runbook import split_lines
from tocsin.runbook.findings import CATALOGUE

_COLOUR = {Level.ERROR: "bold red", Level.WARNING: "bold yellow", Level.INFO: "bold cyan"}
_WORD = {Level.ERROR: "error", Level.WARNING: "warning", Level.INFO: "note"}
_HINT = re.compile(r"\s*Did you mean (\u201c[^\u201d]*\u201d)\?")
_WIDTH = 100
_WIDTH_MIN = 40
# Of more than so many alike in one document the first few are told whole, the others by their lines.
_ALIKE_MAX = 4
_ALIKE_TOLD = 2
_LINES_LISTED_MAX = 20


def console() -> Console:
    """Return the console on which everything of ``check`` is printed: colour on a terminal only."""
    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


class Teller:
    """Prints findings. A code is explained where it comes first; of many alike some are folded."""

    def __init__(self, out: Console, documents: Mapping[str, str], *, whole: bool = False) -> None:
        self._out = out
        self._lines = {file: split_lines(text) for file, text in documents.items()}
        self._whole = whole
        self._width = max(_WIDTH_MIN, min(out.width, _WIDTH)) if out.is_terminal else _WIDTH
        self._explained: set[str] = set()

    def tell(self, findings: Sequence[Finding]) -> None:
        """Print findings and, at the end, how many there are."""
        told = list(self._folded(findings))
        for _, together in groupby(range(len(told)), key=lambda n: _place(told[n][0])):
            here = [told[n] for n in together]
            alike = [other for _, others in here for other in others]
            self._one([finding for finding, _ in here], alike)
        self._out.print(counts_said(findings))

    def _folded(self, findings: Sequence[Finding]) -> Iterator[tuple[Finding, Sequence[Finding]]]:
        """Yield findings to be told, each with those that it stands for."""
        groups: dict[tuple[str, str, Level], list[Finding]] = {}
        for finding in findings:
            groups.setdefault((finding.source.file, finding.code, finding.level), []).append(
                finding
            )
        for finding in findings:
            group = groups[finding.source.file, finding.code, finding.level]
            if self._whole or finding.level is Level.ERROR or len(group) <= _ALIKE_MAX:
                yield finding, ()
            elif finding in group[:_ALIKE_TOLD]:
                is_last = finding is group[_ALIKE_TOLD - 1]
                yield finding, group[_ALIKE_TOLD:] if is_last else ()

    def _one(self, together: Sequence[Finding], alike: Sequence[Finding]) -> None:
        """Print findings of one code about the same words, with what is to be done about all."""
        finding = together[0]
        colour = _COLOUR[finding.level]
        source = finding.source
        title = CATALOGUE[finding.code][1].rstrip(".")
        self._out.print(
            Text.assemble(
                (f"{_WORD[finding.level]}[{finding.code}]", colour), (f": {title}", "bold")
            )
        )
        lines = self._lines.get(source.file, [])
        line = lines[source.line - 1] if 0 < source.line <= len(lines) else ""
        gutter = " " * len(str(source.line))
        self._out.print(
            Text.assemble((f"{gutter}--> ", "blue"), plain(f"{source}:{finding.column}"))
        )
        if line.strip():
            self._excerpt(finding, line, gutter)
        for each in together:
            self._said(gutter, "", each.message)
        remedy, hint = finding.remedy, ""
        found = _HINT.search(remedy)
        if found is not None:
            hint = f"did you mean {found[1]}?"
            remedy = (remedy[: found.start()] + remedy[found.end() :]).strip()
        if hint:
            self._said(gutter, "", hint, style="bold green")
        if remedy:
            is_act = not remedy.startswith("Nothing to do")
            self._said(gutter, "mend it: " if is_act else "", remedy)
        if finding.code not in self._explained:
            self._explained.add(finding.code)
            self._said(gutter, "explained: ", f"tocsin check --explain {finding.code}", style="dim")
        if alike:
            self._said(gutter, "", _alike_said(alike))
        self._out.print()

    def _excerpt(self, finding: Finding, line: str, gutter: str) -> None:
        start, end = finding.column - 1, max(finding.column, finding.end_column - 1)
        shown = excerpt(line, start, end, self._width - len(gutter) - 3)
        number = str(finding.source.line)
        self._out.print(Text(f"{gutter} |", style="blue"))
        self._out.print(Text.assemble((f"{number} | ", "blue"), shown.shown))
        marks = f"{' ' * shown.at}{'^' * shown.width}"
        if shown.turns:
            marks = f"^ column {finding.column}: {shown.words}"
        self._out.print(Text.assemble((f"{gutter} | ", "blue"), (marks, _COLOUR[finding.level])))

    def _said(self, gutter: str, lead: str, words: str, *, style: str = "") -> None:
        first = f"{gutter} = "
        rows = [words]
        if self._out.is_terminal:
            rows = textwrap.wrap(
                lead + words, self._width - len(first), break_on_hyphens=False
            ) or [lead]
        else:
            rows = [lead + words]
        for number, row in enumerate(rows):
            text = Text(plain(row), style=style)
            if number == 0 and lead:
                text.stylize("bold", 0, len(lead))
            edge = first if number == 0 else " " * len(first)
            self._out.print(Text.assemble((edge, "blue"), text))


def _place(finding: Finding) -> tuple[object, ...]:
    return (finding.code, finding.level, finding.source, finding.column, finding.remedy)


def counts_said(findings: Sequence[Finding]) -> str:
    """Return "1 error, 2 warnings, 0 notes."."""
    counts = Counter(finding.level for finding in findings)
    return ", ".join(counted(counts[level], word) for level, word in _WORD.items()) + "."


def counted(number: int, word: str) -> str:
    """Return "1 error" or "2 errors"."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _alike_said(alike: Sequence[Finding]) -> str:
    lines = list(dict.fromkeys(finding.source.line for finding in alike))
    shown = ", ".join(str(line) for line in lines[:_LINES_LISTED_MAX])
    more = f" and {len(lines) - _LINES_LISTED_MAX} more" if len(lines) > _LINES_LISTED_MAX else ""
    word = "line" if len(lines) == 1 else "lines"
    return f"and {len(alike)} more like this: {word} {shown}{more} (--all tells each)"
