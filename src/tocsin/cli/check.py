"""``tocsin check``: what in a runbook cannot be honoured, or not as it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markdown import Markdown

from tocsin.cli import pages
from tocsin.cli.alert_rules import RulesError, read_rules
from tocsin.cli.annotations import annotation
from tocsin.cli.documents import UNUSABLE, fail, read_or_exit
from tocsin.cli.ledger import print_ledger
from tocsin.cli.telling import Teller, console
from tocsin.core.policy import Finding, Level
from tocsin.core.surroundings import Directory, Tuning
from tocsin.reports.ledger import ledger_page
from tocsin.runbook import Compiled, Compiler, finding_to_json, to_json
from tocsin.runbook.findings import CATALOGUE, did_you_mean
from tocsin.runbook.links import dead_files
from tocsin.runbook.lint import Known, KnownAlert, check

SettingsOf = Callable[[Path], tuple[Directory, Tuning] | None]
RulesOf = Callable[[Path], tuple[Path, ...]]

_EXIT_FINDINGS = 1
# Only documents with such a link are looked through.
_LINK_TO_FILE = re.compile(
    r"\]\((?![a-z][a-z0-9+.-]*:|#)|^\s*\[[^\]]+\]:|<(?:a|img)\s", re.I | re.M
)


class Form(StrEnum):
    """For people, for programs, or for the pages of a pull request on GitHub."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def register(
    app: typer.Typer, settings_of: SettingsOf | None = None, rules_of: RulesOf | None = None
) -> None:
    """Add the command of this file.

    ``settings_of`` reads the settings beside a runbook and returns None where there are none;
    without it every runbook counts as one without settings. ``rules_of`` returns the files of
    alerting rules that they name.
    """

    @app.command("check")
    def check_(
        runbook: Annotated[
            Path | None,
            typer.Argument(help="A Markdown file, or a folder of them.", readable=False),
        ] = None,
        ledger: Annotated[
            bool, typer.Option("--ledger", help="Print the document, each line with its account.")
        ] = False,
        form: Annotated[
            Form, typer.Option("--format", help="For people, programs, or GitHub Actions.")
        ] = Form.TEXT,
        html: Annotated[
            Path | None,
            typer.Option(help="Write the annotated document into this file.", readable=False),
        ] = None,
        alerts: Annotated[
            list[Path] | None,
            typer.Option(
                help="Prometheus alerting rules, a file or a folder; again for more.",
                readable=False,
            ),
        ] = None,
        explain: Annotated[
            str, typer.Option(metavar="CODE", help="Print the page about a finding, and no more.")
        ] = "",
        whole: Annotated[
            bool, typer.Option("--all", help="Print each finding, also of many that are alike.")
        ] = False,
    ) -> None:
        """Say what in a runbook cannot be honoured, or not as it stands."""
        if explain:
            _explain(explain)
            return
        if runbook is None:
            fail("check wants a runbook: a Markdown file, or a folder of them.")
        compiler = Compiler()
        compiled = compiler.compile(read_or_exit(runbook))
        settings = settings_of(runbook) if settings_of is not None else None
        paths = [*(alerts or ()), *(rules_of(runbook) if rules_of is not None else ())]
        known = _known(settings, _alerts(paths))
        findings = check(compiled, known, more=_dead_links(compiler, compiled))
        if html is not None:
            _write(html, ledger_page(compiled, findings))
        _print(compiled, findings, form, with_ledger=ledger, whole=whole)
        if html is not None and form is Form.TEXT:
            typer.echo(f"Annotated: {html}")
        if any(finding.level is Level.ERROR for finding in findings):
            raise typer.Exit(_EXIT_FINDINGS)


def _print(
    compiled: Compiled, findings: Sequence[Finding], form: Form, *, with_ledger: bool, whole: bool
) -> None:
    if form is Form.JSON:
        value: dict[str, Any] = {"findings": [finding_to_json(finding) for finding in findings]}
        if with_ledger:
            value["ledger"] = to_json(compiled)["ledger"]
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
    elif form is Form.GITHUB:
        for finding in findings:
            typer.echo(annotation(finding))
    else:
        if with_ledger:
            print_ledger(console(), compiled, findings)
        Teller(console(), compiled.documents, whole=whole).tell(findings)


def _known(
    settings: tuple[Directory, Tuning] | None, alerts: tuple[KnownAlert, ...] | None
) -> Known:
    directory, tuning = settings or (Directory(), Tuning())
    return Known(directory, tuning, configured=settings is not None, alerts=alerts)


def _alerts(paths: Sequence[Path]) -> tuple[KnownAlert, ...] | None:
    if not paths:
        return None
    try:
        read = read_rules(paths)
    except RulesError as error:
        fail(str(error))
    for told in read.left_out:
        typer.echo(f"tocsin: {told} It is left out.", err=True)
    return read.alerts


def _dead_links(compiler: Compiler, compiled: Compiled) -> list[Finding]:
    """Return a finding for each link to a file that is not on the disk beside the documents."""
    linking = {
        file: compiler.parsed(file, text)
        for file, text in compiled.documents.items()
        if _LINK_TO_FILE.search(text)
    }
    there = {Path(file).resolve() for file in compiled.documents}

    def exists(path: str) -> bool:
        try:
            target = Path(path)
            return target.resolve() in there or target.exists()
        except (OSError, ValueError, RuntimeError):
            # A name that no disk takes is not there.
            return False

    return list(dead_files(linking, exists))


def _explain(code: str) -> None:
    """Print the page of a code: laid out on a terminal, as Markdown anywhere else."""
    wanted = code.strip().upper()
    if wanted not in CATALOGUE:
        hint = did_you_mean(wanted, CATALOGUE) or "`tocsin check` prints them."
        fail(f"--explain {code}: there is no such finding. {hint}")
    text = pages.page(wanted)
    out = console()
    if out.is_terminal:
        out.print(
            Markdown(text, code_theme="ansi_dark"), width=min(out.width, 100), soft_wrap=False
        )
    else:
        typer.echo(text.rstrip("\n"))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{path}: cannot be written: {error.strerror or error}.")


__all__ = ["UNUSABLE", "Form", "register"]
