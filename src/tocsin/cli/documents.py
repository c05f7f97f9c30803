"""``tocsin check``, ``compile`` and ``init``: what can be done with a runbook and no server."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from tocsin.cli import starter
from tocsin.config import Unreadable, read_runbook
from tocsin.core.policy import Finding, LedgerEntry, Level, LineStatus
from tocsin.core.surroundings import Directory, Tuning
from tocsin.runbook import (
    Compiled,
    check_directory,
    check_tuning,
    compile_runbook,
    finding_to_json,
    split_lines,
    to_json,
)

SettingsOf = Callable[[Path], tuple[Directory, Tuning] | None]

_EXIT_FINDINGS = 1
_EXIT_UNUSABLE = 2
_MARKS = {
    LineStatus.AUTOMATED: ("automated", "green"),
    LineStatus.HUMAN: ("human", "yellow"),
    LineStatus.REFERENCE: ("reference", "dim"),
    LineStatus.TEMPLATE: ("template", "cyan"),
    LineStatus.UNSUPPORTED: ("unsupported", "bold red"),
}
_MARK_WIDTH = max(len(word) for word, _ in _MARKS.values())


class Form(StrEnum):
    """For people, or for programs."""

    TEXT = "text"
    JSON = "json"


class JsonForm(StrEnum):
    """The one form a compiled runbook is printed in."""

    JSON = "json"


def register(app: typer.Typer, settings_of: SettingsOf | None = None) -> None:
    """Add the commands of this file.

    ``settings_of`` reads the settings beside a runbook and returns None where there are none;
    without it every runbook counts as one without settings.
    """

    @app.command()
    def check(
        runbook: Annotated[
            Path, typer.Argument(help="A Markdown file, or a folder of them.", readable=False)
        ],
        ledger: Annotated[
            bool, typer.Option("--ledger", help="Print the document, each line with its account.")
        ] = False,
        form: Annotated[Form, typer.Option("--format", help="For people or programs.")] = Form.TEXT,
    ) -> None:
        """Say what in a runbook cannot be honoured, or not as it stands."""
        compiled = compile_runbook(read_or_exit(runbook))
        settings = settings_of(runbook) if settings_of is not None else None
        findings = findings_with(compiled, settings)
        if form is Form.JSON:
            _print_json(_check_to_json(compiled, findings, with_ledger=ledger))
        else:
            if ledger:
                _print_ledger(compiled, findings)
            _print_findings(findings)
        if any(finding.level is Level.ERROR for finding in findings):
            raise typer.Exit(_EXIT_FINDINGS)

    @app.command("compile")
    def compile_(
        runbook: Annotated[
            Path, typer.Argument(help="A Markdown file, or a folder of them.", readable=False)
        ],
        form: Annotated[
            JsonForm, typer.Option("--format", help="How to print it.")
        ] = JsonForm.JSON,
    ) -> None:
        """Print the policy and the plays that a runbook compiles to, every rule with its line."""
        assert form is JsonForm.JSON  # there is no other
        compiled = compile_runbook(read_or_exit(runbook))
        _print_json(to_json(compiled))
        if compiled.has_errors:
            errors = [f for f in compiled.findings if f.level is Level.ERROR]
            for finding in errors:
                typer.echo(_line_of(finding), err=True)
            raise typer.Exit(_EXIT_FINDINGS)

    @app.command()
    def init(
        folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to write.")] = Path(),
    ) -> None:
        """Write a small runbook and its settings to start from, or the settings for yours."""
        _write_starter(folder)


def findings_with(
    compiled: Compiled, settings: tuple[Directory, Tuning] | None
) -> tuple[Finding, ...]:
    """Return the findings of the document and of the settings, in the order of their lines."""
    directory, tuning = settings or (Directory(), Tuning())
    about_people = check_directory(
        compiled.policy, directory, settings is not None, compiled.documents
    )
    about_levels = check_tuning(compiled.policy, tuning)
    return tuple(
        sorted(
            (*compiled.findings, *about_people, *about_levels),
            key=lambda f: (f.source.file, f.source.line, f.column, f.code),
        )
    )


def read_or_exit(runbook: Path) -> dict[str, str]:
    """Return the documents of a runbook by path; exit with one clear line if it cannot be read."""
    try:
        return read_runbook(runbook)
    except Unreadable as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    typer.echo(f"tocsin: {message}", err=True)
    raise typer.Exit(_EXIT_UNUSABLE)


def _print_json(value: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _check_to_json(
    compiled: Compiled, findings: Sequence[Finding], *, with_ledger: bool
) -> dict[str, Any]:
    value: dict[str, Any] = {"findings": [finding_to_json(finding) for finding in findings]}
    if with_ledger:
        value["ledger"] = to_json(compiled)["ledger"]
    return value


def _line_of(finding: Finding) -> str:
    return f"{finding.source}:{finding.column} {finding.code} {finding.message}"


def _print_findings(findings: Sequence[Finding]) -> None:
    console = _console()
    style = {Level.ERROR: "bold red", Level.WARNING: "yellow", Level.INFO: "cyan"}
    for finding in findings:
        console.print(
            Text.assemble(
                f"{finding.source}:{finding.column} ",
                (finding.code, style[finding.level]),
                f" {finding.message}",
            )
        )
        console.print(Text(f"    {finding.remedy}", style="dim"))
    counts = Counter(finding.level for finding in findings)
    console.print(
        f"{_counted(counts[Level.ERROR], 'error')}, {_counted(counts[Level.WARNING], 'warning')},"
        f" {_counted(counts[Level.INFO], 'note')}."
    )


def _counted(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _print_ledger(compiled: Compiled, findings: Sequence[Finding]) -> None:
    console = _console()
    for file, text in compiled.documents.items():
        entries = {entry.line: entry for entry in compiled.ledger if entry.file == file}
        here = [finding for finding in findings if finding.source.file == file]
        if len(compiled.documents) > 1:
            console.print(Text(file, style="bold"))
        for number, line in enumerate(split_lines(text), start=1):
            _print_line(console, number, line, entries.get(number))
            for finding in here:
                if finding.source.line == number:
                    told = f"{finding.code} {finding.message}"
                    console.print(Text(f"{'':{_MARK_WIDTH}}      ^ {told}", style="yellow"))
        _print_totals(console, entries.values())


def _print_line(console: Console, number: int, line: str, entry: LedgerEntry | None) -> None:
    if entry is None:
        console.print(Text(f"{'':{_MARK_WIDTH}} {number:>4}"))
        return
    word, style = _MARKS[entry.status]
    console.print(
        Text.assemble(
            (f"{word:{_MARK_WIDTH}}", style), f" {number:>4} {line}", (f"  [{entry.rule}]", "dim")
        )
    )


def _print_totals(console: Console, entries: Iterable[LedgerEntry]) -> None:
    counts = Counter(entry.status for entry in entries)
    told = ", ".join(f"{counts[status]} {word}" for status, (word, _) in _MARKS.items())
    console.print(Text(f"{sum(counts.values())} lines: {told}."))


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True, markup=False, emoji=False)


def _write_starter(folder: Path) -> None:
    """Write what is missing of a runbook and its settings, and nothing over what is there."""
    runbook, settings = folder / "incident-response.md", folder / "tocsin.toml"
    present = _runbook_in(folder, runbook)
    if present and settings.exists():
        what = " and ".join(str(path) for path in (*_named(present, folder), settings))
        _fail(f"{what}: already there; nothing was written.")
    wanted: dict[Path, str] = {}
    if not present:
        wanted[runbook] = starter.RUNBOOK
    if not settings.exists():
        wanted[settings] = starter.SETTINGS
        if present:
            wanted[settings] = starter.settings_for(compile_runbook(present).policy)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in wanted.items():
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        _fail(f"{folder}: cannot be written: {error.strerror or error}.")
    typer.echo(f"Wrote {' and '.join(str(path) for path in wanted)}.")
    left = [*_named(present, folder), *([settings] if settings not in wanted else [])]
    if left:
        typer.echo(f"Left {' and '.join(str(path) for path in left)} as it was.")
    if present:
        typer.echo("It names the roles, audiences and channels of the runbook; fill in the people.")
    else:
        typer.echo("Write your own levels, people and commands into them. Then:")
    place = _named(present, folder)[0] if present else runbook
    typer.echo(f"  tocsin check {place}")
    typer.echo(f"  tocsin serve --runbook {place}")


def _runbook_in(folder: Path, starting: Path) -> dict[str, str]:
    """Return the documents of a folder that is a runbook already; none if it is not one yet.

    A README alone is no runbook; a file that bears the starter's name always counts as one.
    """
    if not folder.is_dir() or not any(folder.rglob("*.md")):
        return {}
    documents = read_or_exit(folder)
    policy = compile_runbook(documents).policy
    is_runbook = policy.severities or policy.escalations or starting.exists()
    return documents if is_runbook else {}


def _named(documents: Mapping[str, str], folder: Path) -> list[Path]:
    """Return the one document beside the settings, or the folder where there are several."""
    if not documents:
        return []
    [first, *others] = [Path(file) for file in documents]
    return [folder] if others or first.parent != folder else [first]
