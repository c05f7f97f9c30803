"""The ``tocsin`` command: one place where all commands are registered."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from tocsin import __version__
from tocsin.cli import (
    backtest,
    check,
    classify,
    client,
    contacts,
    doctor,
    documents,
    keeping,
    people,
    serving,
    simulate,
    trials,
)

app = typer.Typer(
    name="tocsin",
    help="Turns an incident runbook in Markdown into a running incident-response system.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tocsin {__version__}")
        raise typer.Exit


@app.callback()
def _tocsin(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    """Turn an incident runbook in Markdown into a running incident-response system."""


serving.register(app)
check.register(app, serving.settings_beside, serving.alert_rules_beside)
documents.register(app)
simulate.register(app, serving.settings_beside)
trials.register(app, serving.settings_beside)
backtest.register(app, serving.settings_beside)
classify.register(app)
client.register(app)
people.register(app)
contacts.register(app)
doctor.register(app)
keeping.register(app)


def run() -> None:
    """Run the command line. An expected failure is one clear line and a non-zero exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a quotation mark shows a question mark, and no traceback.
            stream.reconfigure(errors="replace")
    try:
        app()
    except BrokenPipeError:
        # The reader of our output (head, less) has gone; that is its right.
        sys.stderr.close()
        sys.exit(0)


def examples() -> Path:
    """Return the folder of the bundled example: in the package when installed, else in the tree."""
    packaged = Path(__file__).parent / "examples" / "neurocred"
    in_tree = Path(__file__).parents[3] / "examples" / "neurocred"
    return packaged if packaged.is_dir() else in_tree
