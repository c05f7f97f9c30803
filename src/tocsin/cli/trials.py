"""``tocsin test``: the tests of a runbook, run in virtual time."""

from __future__ import annotations

import time
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.text import Text

from tocsin.cli import virtual
from tocsin.cli.documents import Form
from tocsin.cli.remote import fail, plain, print_json
from tocsin.config import TEST_SUFFIX
from tocsin.reports.junit import Case, junit
from tocsin.sim.script import Script, read_fences, read_test_document, starts_at
from tocsin.sim.trial import USUAL_START, Outcome, run_script

if TYPE_CHECKING:
    from tocsin.cli.virtual import SettingsOf, Stage

_FAILED = 1


class _Run(msgspec.Struct, frozen=True):
    """A test that ran, and how long it took."""

    outcome: Outcome
    took_s: float


def register(app: typer.Typer, settings_of: SettingsOf) -> None:
    """Add the command of this file. ``settings_of`` reads the settings beside a runbook."""

    @app.command("test")
    def test(
        runbook: Annotated[
            Path, typer.Argument(help="A Markdown file, or a folder of them.", readable=False)
        ],
        junit_to: Annotated[
            Path | None,
            typer.Option("--junit", metavar="FILE", help="Write JUnit XML too.", readable=False),
        ] = None,
        form: Annotated[Form, typer.Option("--format", help="For people or programs.")] = Form.TEXT,
    ) -> None:
        """Run the tests of a runbook: its tocsin-test blocks, and each *.test.md beside it."""
        stage = virtual.stage_of(runbook, settings_of)
        runs = [_run(script, stage) for script in _scripts(stage)]
        if not runs:
            fail(
                f"{runbook}: there is no test: neither a tocsin-test block in it nor a"
                f" *{TEST_SUFFIX} beside it.",
                code=virtual.UNUSABLE,
            )
        if junit_to is not None:
            virtual.write(junit_to, junit("tocsin test", [_case(run) for run in runs]))
        if form is Form.JSON:
            print_json({"tests": [_as_json(run) for run in runs]})
        else:
            _print(runs)
        if not all(run.outcome.passed for run in runs):
            raise typer.Exit(_FAILED)


def _scripts(stage: Stage) -> list[Script]:
    scripts = [
        script
        for file, text in stage.compiled.documents.items()
        for script in read_fences(file, text)
    ]
    for path in _test_documents(stage.path):
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            fail(f"{path}: cannot be read: {error.strerror or error}.", code=virtual.UNUSABLE)
        except UnicodeDecodeError as error:
            fail(f"{path}: is not UTF-8 text at byte {error.start}.", code=virtual.UNUSABLE)
        scripts += read_test_document(str(path), text)
    return scripts


def _test_documents(runbook: Path) -> list[Path]:
    """Return the test documents of a runbook, in order of name.

    Beside a file, those that bear the name of another document there test that one.
    """
    if runbook.is_dir():
        return sorted(runbook.rglob(f"*{TEST_SUFFIX}"))
    others = {
        path.stem
        for path in runbook.parent.glob("*.md")
        if path != runbook and not path.name.endswith(TEST_SUFFIX)
    } - {runbook.stem}
    return [
        path
        for path in sorted(runbook.parent.glob(f"*{TEST_SUFFIX}"))
        if path.name.removesuffix(TEST_SUFFIX) not in others
    ]


def _run(script: Script, stage: Stage) -> _Run:
    began = time.perf_counter()
    at = starts_at(script, USUAL_START)
    if at is None:
        wrong = f"it begins at no time: {script.starts_at}; write 2026-12-24T03:00"
        return _Run(Outcome(script, wrong=((script.line, wrong),)), 0.0)
    policy, surroundings = stage.compiled.policy, stage.surroundings
    outcome = run_script(script, policy, surroundings, at.astimezone(UTC))
    return _Run(outcome, time.perf_counter() - began)


# -- Telling ---------------------------------------------------------------------------------------


def _print(runs: list[_Run]) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
    for run in runs:
        outcome = run.outcome
        script = outcome.script
        word, style = ("passed", "green") if outcome.passed else ("FAILED", "bold red")
        place = f"{script.file}:{script.line}"
        console.print(Text.assemble((word, style), f" {plain(script.name)}  ", (place, "dim")))
        for line in _differences(outcome):
            console.print(Text(f"  {plain(line)}"))
    failed = sum(not run.outcome.passed for run in runs)
    tests = "1 test" if len(runs) == 1 else f"{len(runs)} tests"
    console.print(f"{tests}, {failed} failed." if failed else f"{tests} passed.")


def _differences(outcome: Outcome) -> list[str]:
    file = outcome.script.file
    lines = []
    for failure in outcome.failures:
        lines.append(f"{file}:{failure.line}: {failure.text}")
        lines.append(f"    expected  {failure.expected}")
        for number, instead in enumerate(failure.instead):
            lines.append(f"    {'instead' if not number else '':<8}  {instead}")
        if failure.hint:
            lines.append(f"    hint      {failure.hint}")
    lines += [f"{file}:{line}: {why}" for line, why in outcome.wrong]
    return lines


def _case(run: _Run) -> Case:
    outcome = run.outcome
    wrong = "; ".join(f"line {line}: {why}" for line, why in outcome.wrong)
    missed = "; ".join(f"line {f.line}: expected {f.expected}" for f in outcome.failures)
    return Case(
        suite=outcome.script.file,
        name=outcome.script.name,
        line=outcome.script.line,
        took_s=run.took_s,
        failure=missed,
        error=wrong,
        detail="\n".join(_differences(outcome)),
    )


def _as_json(run: _Run) -> dict[str, Any]:
    outcome = run.outcome
    return {
        "file": outcome.script.file,
        "line": outcome.script.line,
        "name": outcome.script.name,
        "passed": outcome.passed,
        "failures": msgspec.to_builtins(outcome.failures),
        "wrong": [{"line": line, "why": why} for line, why in outcome.wrong],
    }
