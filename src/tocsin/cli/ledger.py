"""The account of a document in a terminal: each line with what becomes of it, and the totals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from tocsin.core.policy import Finding, LedgerEntry, Level, LineStatus
from tocsin.reports.excerpt import excerpt, plain, shown_width
from tocsin.runbook import Compiled, split_lines

# The sign tells as much as the colour.
_MARKS = {
    LineStatus.AUTOMATED: ("#", "automated", "green"),
    LineStatus.HUMAN: ("o", "human", "yellow"),
    LineStatus.REFERENCE: (".", "reference", "dim"),
    LineStatus.TEMPLATE: (":", "template", "cyan"),
    LineStatus.UNSUPPORTED: ("x", "unsupported", "bold red"),
}
_WORD_WIDTH = max(len(word) for _, word, _ in _MARKS.values())
_COLOUR = {Level.ERROR: "bold red", Level.WARNING: "yellow", Level.INFO: "cyan"}
_TEXT_WIDTH = 84
_BAR_WIDTH = 40
_RULE_MIN = 24


def print_ledger(out: Console, compiled: Compiled, findings: Sequence[Finding]) -> None:
    """Print every document line by line: status, number, words, and the rule that says so.

    On a terminal each takes one row, and what is longer is cut; elsewhere all of it is printed. The
    findings themselves follow whole.
    """
    for number, (file, text) in enumerate(compiled.documents.items()):
        if number:
            out.print()
        out.print(Text(plain(file), style="bold"))
        entries = {entry.line: entry for entry in compiled.ledger if entry.file == file}
        here: dict[int, list[Finding]] = {}
        for finding in findings:
            if finding.source.file == file:
                here.setdefault(finding.source.line, []).append(finding)
        lines = split_lines(text)
        width = _text_width(out, lines)
        for at, line in enumerate(lines, start=1):
            if line.strip() or at < len(lines):
                _print_line(out, at, line, entries.get(at), width)
            for finding in here.get(at, ()):
                _print_finding(out, finding)
        out.print()
        _print_totals(out, entries.values())
    out.print()


def _text_width(out: Console, lines: Sequence[str]) -> int:
    """Return how wide the column of the document is: as wide as it needs, within the terminal."""
    widest = min(_TEXT_WIDTH, max((shown_width(line[:_TEXT_WIDTH]) for line in lines), default=0))
    if not out.is_terminal:
        return widest
    return max(30, min(widest, out.width - _WORD_WIDTH - 12 - _RULE_MIN))


def _print_line(
    out: Console, number: int, line: str, entry: LedgerEntry | None, width: int
) -> None:
    if entry is None:
        out.print(Text(f"{'':{_WORD_WIDTH + 2}} {number:>4} |", style="dim"))
        return
    sign, word, style = _MARKS[entry.status]
    shown = excerpt(line, 0, 0, width).shown if out.is_terminal else plain(line)
    room = " " * max(0, width - shown_width(shown))
    rule = f"[{plain(entry.rule)}]"
    if out.is_terminal:
        rule = excerpt(rule, 0, 0, max(8, out.width - width - _WORD_WIDTH - 12)).shown
    out.print(
        Text.assemble(
            (f"{sign} {word:{_WORD_WIDTH}}", style),
            (f" {number:>4} | ", "dim"),
            shown,
            (f"{room}  {rule}", "dim"),
        )
    )


def _print_finding(out: Console, finding: Finding) -> None:
    told = f"{finding.code} {plain(finding.message)}"
    edge = f"{'':{_WORD_WIDTH + 7}} ^ "
    if out.is_terminal:
        told = excerpt(told, 0, 0, max(20, out.width - len(edge))).shown
    out.print(Text.assemble((edge, "dim"), (told, _COLOUR[finding.level])))


def _print_totals(out: Console, entries: Iterable[LedgerEntry]) -> None:
    counts = Counter(entry.status for entry in entries)
    total = sum(counts.values())
    for status, (sign, word, style) in _MARKS.items():
        count = counts[status]
        share = count / total if total else 0
        bar = sign * (max(1, round(share * _BAR_WIDTH)) if count else 0)
        out.print(
            Text.assemble(
                (f"{sign} {word:{_WORD_WIDTH}}", style),
                f" {count:>5}  {share:>4.0%}  ",
                (bar, style),
            )
        )
    told = ", ".join(f"{counts[status]} {word}" for status, (_, word, _) in _MARKS.items())
    out.print(Text(f"{total} lines: {told}."))
