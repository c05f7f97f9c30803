"""``tocsin compile`` and ``init``: what can be done with a runbook and no server."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from tocsin.cli import starter
from tocsin.config import Unreadable, read_runbook
from tocsin.core.policy import Finding, Level
from tocsin.runbook import compile_runbook, to_json

_EXIT_FINDINGS = 1
UNUSABLE = 2


class Form(StrEnum):
    """For people, or for programs."""

    TEXT = "text"
    JSON = "json"


class JsonForm(StrEnum):
    """The one form a compiled runbook is printed in."""

    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""

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


def read_or_exit(runbook: Path) -> dict[str, str]:
    """Return the documents of a runbook by path; exit with one clear line if it cannot be read."""
    try:
        return read_runbook(runbook)
    except Unreadable as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    """Exit with one clear line about what cannot be used."""
    typer.echo(f"tocsin: {message}", err=True)
    raise typer.Exit(UNUSABLE)


def _print_json(value: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _line_of(finding: Finding) -> str:
    return f"{finding.source}:{finding.column} {finding.code} {finding.message}"


def _write_starter(folder: Path) -> None:
    """Write what is missing of a runbook and its settings, and nothing over what is there."""
    runbook, settings = folder / "incident-response.md", folder / "tocsin.toml"
    present = _runbook_in(folder, runbook)
    if present and settings.exists():
        what = " and ".join(str(path) for path in (*_named(present, folder), settings))
        fail(f"{what}: already there; nothing was written.")
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
        fail(f"{folder}: cannot be written: {error.strerror or error}.")
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
