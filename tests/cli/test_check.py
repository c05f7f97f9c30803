"""``tocsin check``, as a person, a program and GitHub call it."""

from __future__ import annotations

import io
import json
import re
import tomllib
from pathlib import Path

import pytest
import typer
import yaml
from rich.console import Console
from typer.testing import CliRunner

from tocsin.cli import check
from tocsin.cli.annotations import annotation
from tocsin.cli.ledger import print_ledger
from tocsin.cli.serving import alert_rules_beside, settings_beside
from tocsin.cli.telling import Teller
from tocsin.core.surroundings import Directory, Tuning
from tocsin.runbook import compile_runbook
from tocsin.runbook import lint as checks
from tocsin.runbook.findings import CATALOGUE

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "neurocred" / "incident-response.md"
BROKEN = "# R\n\n## Severity\n\n### P0 - Worst\n- x\n\n### P0 - Best\n- y\n\n### P1\n- z\n"
STEPS = "# Disk full\n\n## Meaning\n\nx\n\n## Mitigation\n\n"


def run(*words, settings_of=None, rules_of=None):
    app = typer.Typer()
    check.register(app, settings_of, rules_of)

    @app.command()
    def other() -> None:
        """Make the name of the command part of the words, as it is in the real one."""

    return CliRunner().invoke(app, ["check", *(str(word) for word in words)])


def written(tmp_path, text, name="runbook.md"):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def told(text, *, whole=False, width=None, findings=None):
    """Return what is printed about a document; with ``width`` as on a terminal of that many cells."""
    out = io.StringIO()
    compiled = compile_runbook({"r.md": text})
    console = Console(
        file=out, highlight=False, soft_wrap=True, markup=False, emoji=False,
        force_terminal=width is not None, width=width or 80,
        color_system="standard" if width else None,
    )  # fmt: skip
    Teller(console, compiled.documents, whole=whole).tell(findings or checks.check(compiled))
    return out.getvalue()


# -- Text ------------------------------------------------------------------------------------------


def test_a_finding_shows_its_line_with_the_words_underlined_and_how_to_mend_it():
    result = run(EXAMPLE)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    first = lines.index("warning[T107]: A command never ends")
    assert lines[first + 1] == f"  --> {EXAMPLE}:84:33"
    assert lines[first + 3].startswith("84 | 2. Read the logs: `kubectl logs -f ")
    assert lines[first + 4] == f"   | {' ' * 32}^^"
    assert lines[first + 5].startswith("   = `-f` never ends.")
    assert lines[first + 6].startswith("   = mend it: Leave it out")
    assert lines[first + 7] == "   = explained: tocsin check --explain T107"
    assert re.fullmatch(r"0 errors, \d+ warnings, \d+ notes\.", lines[-1])
    assert "\x1b" not in result.stdout


def test_check_exits_with_one_when_the_runbook_cannot_come_into_force(tmp_path):
    result = run(written(tmp_path, BROKEN))
    assert result.exit_code == 1
    assert "error[T101]" in result.stdout
    assert "1 error," in result.stdout


def test_a_code_is_explained_where_it_comes_first_and_no_more():
    shown = run(EXAMPLE).stdout
    assert shown.count("[T112]") > 1
    assert shown.count("--explain T112") == 1


def test_did_you_mean_stands_by_itself():
    text = (
        "# R\n\n## Severity\n\n### P0\n- x\n\n### P1\n- y\n\n"
        "## Escalation\n\n- P0: page the on-call engineer immediately\n- P2: page the CTO after 1 hour\n"
    )
    shown = told(text)
    assert "error[T102]" in shown
    assert re.search(r"^\s+= did you mean \u201cP[01]\u201d\?$", shown, re.M)
    assert not re.search(r"mend it: .*[Dd]id you mean", shown)


def test_of_many_findings_alike_the_others_are_told_by_their_lines():
    text = STEPS + "".join(f"{n}. Call the team {n} if needed\n" for n in range(1, 10))
    shown = told(text)
    assert shown.count("note[T112]") == 2
    assert "and 7 more like this: lines 11, 12, 13, 14, 15, 16, 17 (--all tells each)" in shown
    assert told(text, whole=True).count("note[T112]") == 9


def test_what_is_said_of_the_same_words_is_told_once():
    levels = "".join(f"### P{n}\n- x{n}\n\n" for n in range(3))
    text = f"# R\n\n## Severity\n\n{levels}## Escalation\n\n- P0: page the CTO after 1 hour\n"
    shown = told(text)
    assert shown.count("warning[T106]") == 1
    assert len(re.findall(r"= Nobody is paged when a P\d incident begins", shown)) == 3


def test_colour_is_for_terminals():
    assert "\x1b[" in told(BROKEN, width=80)
    assert "\x1b" not in told(BROKEN)


def test_on_a_terminal_nothing_is_wider_than_the_terminal():
    text = STEPS + f"1. Run `kubectl logs -f deployment/{'very-long-name-' * 20}`\n"
    plain = re.sub(r"\x1b\[[\d;]*m", "", told(text, width=60))
    assert "kubectl logs" in plain
    assert max(map(len, plain.splitlines())) <= 60


def test_nothing_of_a_document_reaches_the_terminal_as_a_command():
    evil = "1. Call \x1b[31m\x07\u202eTeam\u202c if needed\r\n"
    shown = told(STEPS + evil)
    assert "if needed" in shown
    assert not set(shown) & {"\x1b", "\x07", "\u202e", "\r"}


# -- JSON and GitHub -------------------------------------------------------------------------------


def test_check_prints_json_for_programs(tmp_path):
    result = run(written(tmp_path, BROKEN), "--format", "json")
    assert result.exit_code == 1
    [finding] = [f for f in json.loads(result.stdout)["findings"] if f["level"] == "error"]
    assert set(finding) == {
        "code", "level", "file", "line", "column", "end_column", "message", "remedy",
    }  # fmt: skip
    assert (finding["code"], finding["line"]) == ("T101", 8)


def test_json_holds_every_finding_also_of_many_that_are_alike(tmp_path):
    text = STEPS + "".join(f"{n}. Call the team {n} if needed\n" for n in range(1, 10))
    found = json.loads(run(written(tmp_path, text), "--format", "json").stdout)["findings"]
    assert [f["line"] for f in found if f["code"] == "T112"] == list(range(9, 18))


def test_github_gets_one_command_a_line_with_everything_escaped(tmp_path):
    path = written(tmp_path, BROKEN, "a,b:c.md")
    result = run(path, "--format", "github")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert all(re.match(r"::(error|warning|notice) file=", line) for line in lines)
    [error] = [line for line in lines if line.startswith("::error")]
    assert "a%2Cb%3Ac.md,line=8,col=" in error
    assert ",title=T101%3A A severity level is declared twice%2C with different meanings::" in error
    assert "%0A" in error


def test_github_is_told_the_path_from_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, BROKEN, "docs/r.md")
    findings = checks.check(compile_runbook({str(path): BROKEN}))
    assert all(annotation(f).partition("file=")[2].startswith("docs/r.md,") for f in findings)


# -- Settings, links and alerts --------------------------------------------------------------------


def test_check_asks_the_settings_who_is_who():
    without = json.loads(run(EXAMPLE, "--format", "json").stdout)["findings"]
    bare = run(EXAMPLE, "--format", "json", settings_of=lambda _: (Directory(), Tuning()))
    found = [f["code"] for f in json.loads(bare.stdout)["findings"]]
    assert "T140" in {f["code"] for f in without}
    assert "T140" not in found
    assert found.count("T141") == 4
    assert found.count("T132") == 2
    assert found.count("T137") == 1


def test_check_compares_the_levels_of_the_settings_with_the_runbook():
    tuning = Tuning(severity_by_label={"page": "P7"})
    result = run(EXAMPLE, "--format", "json", settings_of=lambda _: (Directory(), tuning))
    [finding] = [f for f in json.loads(result.stdout)["findings"] if f["code"] == "T146"]
    assert (finding["file"], finding["line"], finding["column"]) == (str(EXAMPLE), 1, 1)
    assert "P7" in finding["message"]


def found_in(result, code):
    return [f for f in json.loads(result.stdout)["findings"] if f["code"] == code]


def test_a_link_to_a_file_that_is_not_there_is_found(tmp_path):
    written(tmp_path, "# B\n", "other.md")
    text = (
        STEPS + "1. Read [this](other.md), [that](othr.md) and [more](https://example.org/x.md)\n"
    )
    [finding] = found_in(run(written(tmp_path, text), "--format", "json"), "T162")
    assert text.split("\n")[finding["line"] - 1][finding["column"] - 1 :].startswith("othr.md")


RULES = """\
groups:
  - name: disks
    rules:
      - alert: DiskFull
        expr: sum by (drive) (x) > 1
        annotations:
          runbook_url: https://wiki.example.org/alerts/DiskGone.md
      - record: some:thing
        expr: sum(x)
"""


def test_documents_that_no_alert_reaches_are_found_when_the_alerts_are_known(tmp_path):
    book = tmp_path / "book"
    written(tmp_path, STEPS + "1. Look at <drive>\n", "book/DiskFull.md")
    written(tmp_path, STEPS.replace("full", "slow") + "1. Look\n", "book/DiskFul1.md")
    rules = written(tmp_path, RULES, "rules.yml")
    assert not found_in(run(book, "--format", "json"), "T177")
    [finding] = found_in(run(book, "--format", "json", "--alerts", rules), "T177")
    assert finding["file"].endswith("DiskFul1.md")
    assert "\u201cDiskFull\u201d" in finding["remedy"]


def test_the_settings_may_name_the_rules(tmp_path):
    written(tmp_path, STEPS.replace("full", "slow") + "1. Look\n", "Other.md")
    written(tmp_path, RULES, "rules.yml")
    urls = '[runbook.urls]\n"https://wiki.example.org/alerts/" = ""\n'
    written(tmp_path, f'[alerts]\nrules = ["rules.yml"]\n{urls}', "tocsin.toml")
    result = run(
        tmp_path, "--format", "json", settings_of=settings_beside, rules_of=alert_rules_beside
    )
    assert len(found_in(result, "T177")) == 1
    [link] = found_in(result, "T178")
    assert (link["file"], link["line"]) == (str(tmp_path / "rules.yml"), 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "is not YAML at line"), ("- x\n", "holds no alerting rules"), (None, "no such file")],
)
def test_rules_that_cannot_be_used_are_one_line_and_exit_code_two(tmp_path, text, said):
    rules = tmp_path / "rules.yml"
    if text is not None:
        rules.write_text(text)
    result = run(EXAMPLE, "--alerts", rules)
    assert (result.exit_code, result.stdout) == (2, "")
    [line] = result.stderr.splitlines()
    assert line.startswith(f"tocsin: {rules}: ")
    assert said in line


# -- The ledger and the pages ----------------------------------------------------------------------


def test_the_ledger_prints_every_line_with_its_account():
    result = run(EXAMPLE, "--ledger")
    text = EXAMPLE.read_text(encoding="utf-8")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            wanted = rf"^[#o.:x] \w+ +{number} \| {re.escape(line)} *  \[.+\]$"
            assert re.search(wanted, result.stdout, re.M), line
    assert "\x1b" not in result.stdout
    assert re.search(r"^\d+ lines: \d+ automated, \d+ human, ", result.stdout, re.M)
    assert re.search(r"^# automated +\d+ +\d+%  #+$", result.stdout, re.M)
    assert "^ T107" in result.stdout


def test_on_a_terminal_each_line_of_the_ledger_takes_one_row():
    compiled = compile_runbook(
        {"r.md": EXAMPLE.read_text(encoding="utf-8") + f"\n{'long ' * 80}\n"}
    )
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, soft_wrap=True, color_system=None)
    print_ledger(console, compiled, checks.check(compiled))
    rows = re.sub(r"\x1b\[[\d;]*m", "", out.getvalue()).splitlines()
    assert max(map(len, rows)) <= 80
    assert any("[checklist item" in row for row in rows)


def test_the_ledger_is_in_the_json_when_asked_for():
    value = json.loads(run(EXAMPLE, "--ledger", "--format", "json").stdout)
    assert {"file", "line", "status", "rule"} == set(value["ledger"][0])


def test_the_page_is_written_and_told(tmp_path):
    page = tmp_path / "page.html"
    result = run(EXAMPLE, "--html", page)
    assert result.stdout.splitlines()[-1] == f"Annotated: {page}"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    failed = run(EXAMPLE, "--html", tmp_path / "no" / "page.html")
    assert failed.exit_code == 2
    assert "cannot be written" in failed.stderr


def test_a_page_explains_each_code():
    for code in CATALOGUE:
        result = run("--explain", code.lower())
        assert result.exit_code == 0, code
        assert result.stdout.startswith(f"# {code}: ")


def test_a_code_that_does_not_exist_is_one_line():
    result = run("--explain", "T17")
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert line.startswith("tocsin: --explain T17: there is no such finding.")


def test_without_a_runbook_there_is_nothing_to_check():
    result = run()
    assert result.exit_code == 2
    assert result.stderr.startswith("tocsin: check wants a runbook")


def test_what_cannot_be_read_is_one_line_and_exit_code_two(tmp_path):
    result = run(tmp_path / "no.md")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"tocsin: {tmp_path / 'no.md'}: ")


# -- What is delivered with it ---------------------------------------------------------------------


def test_the_hook_of_pre_commit_is_this_command():
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert (hook["id"], hook["entry"], hook["language"]) == (
        "tocsin-check",
        "tocsin check",
        "python",
    )
    assert hook["pass_filenames"] is False
    for name in ("runbook.md", "docs/runbook.md", "tocsin.toml", "a/tocsin.toml"):
        assert re.search(hook["files"], name)
    assert not re.search(hook["files"], "other.toml")


def test_the_pages_are_in_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["docs/findings"] == "tocsin/cli/findings"
