"""``tocsin classify``: what running a command may do, and why."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from tocsin.core.policy import CommandClass
from tocsin.runbook.spoken import Classified, classify_text

_UNUSABLE = 2
_MEANING = {
    CommandClass.READ_ONLY: "only reads",
    CommandClass.MUTATING: "may change something",
    CommandClass.SENSITIVE_READ: "may show secrets",
    CommandClass.LONG_RUNNING: "never ends",
    CommandClass.NEEDS_SHELL: "needs a shell, so a person runs it",
    CommandClass.NOT_A_COMMAND: "is no command",
}


class Form(StrEnum):
    """For people, or for programs."""

    TEXT = "text"
    JSON = "json"


class _Asked(msgspec.Struct):
    text: str


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command(context_settings={"ignore_unknown_options": True})
    def classify(
        command: Annotated[
            list[str] | None,
            typer.Argument(metavar="[COMMAND]", help="The command, best quoted as one word."),
        ] = None,
        stdin: Annotated[
            bool, typer.Option("--stdin", help='Read lines of JSON: {"text": "..."}.')
        ] = False,
        form: Annotated[Form, typer.Option("--format", help="For people or programs.")] = Form.TEXT,
    ) -> None:
        """Say what running a command may do, and why. Nothing is run."""
        if stdin == bool(command):
            typer.echo("tocsin: Give a command, quoted as one word, or --stdin.", err=True)
            raise typer.Exit(_UNUSABLE)
        if stdin:
            _classify_lines(form)
        else:
            _print(classify_text(_text_of(command or [])), form)


def _text_of(words: list[str]) -> str:
    """Return a command given as one word, or as many that a shell has already split."""
    text = words[0] if len(words) == 1 else shlex.join(words)
    # Bytes that are no text reach a program as halves of characters.
    return text.encode("utf-8", "replace").decode()


def _classify_lines(form: Form) -> None:
    """Answer each line of standard input with one line; what cannot be read is answered too."""
    wrong = 0
    for number, line in enumerate(sys.stdin.buffer, start=1):
        if not line.strip():
            continue
        try:
            asked = msgspec.json.decode(line, type=_Asked)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            wrong += 1
            said = f'line {number}: expected an object with "text": {error}'
            if form is Form.JSON:
                typer.echo(msgspec.json.encode({"error": said, "line": number}).decode())
            else:
                typer.echo(said, err=True)
            continue
        _print(classify_text(asked.text), form)
    if wrong:
        raise typer.Exit(_UNUSABLE)


def _print(found: Classified, form: Form) -> None:
    if form is Form.JSON:
        value = {
            "text": found.text,
            "class": found.kind.value,
            "program": found.program,
            "why": found.why,
            "argv": found.argv,
            "placeholders": found.placeholders,
        }
        typer.echo(msgspec.json.encode(value).decode())
        return
    bounded = found.kind is CommandClass.LONG_RUNNING and found.argv is not None
    ends = " as it is written; what would run ends, and only reads" if bounded else ""
    typer.echo(f"{found.kind.value}: it {_MEANING[found.kind]}{ends}.")
    typer.echo(f"  why      {found.why}")
    if found.program:
        typer.echo(f"  program  {found.program}")
    if found.argv is not None:
        typer.echo(f"  argv     {msgspec.json.encode(found.argv).decode()}")
    if found.placeholders:
        named = ", ".join(f"{p.text} ({p.name}, {p.type})" for p in found.placeholders)
        typer.echo(f"  to fill  {named}")
