"""``tocsin test``: what passes, what fails and how it says so."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tocsin.cli import trials
from tocsin.cli.serving import settings_beside
from tocsin.config import read_runbook
from tocsin.runbook import compile_runbook

EXAMPLE = Path(__file__).parents[2] / "examples" / "neurocred" / "incident-response.md"
FIRES = "00:00 signal alertname=Slow service=backend severity=high"


def run(*words, code=0):
    app = typer.Typer()
    app.command("other")(lambda: None)
    trials.register(app, settings_beside)
    result = CliRunner().invoke(app, ["test", *(str(word) for word in words)])
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def runbook(tmp_path):
    for name in ("incident-response.md", "tocsin.toml"):
        shutil.copy(EXAMPLE.parent / name, tmp_path / name)
    return tmp_path / "incident-response.md"


def outcomes(runbook, *lines, name="x.test.md", code=0):
    listed = "".join(f"- {line}\n" for line in lines)
    (runbook.parent / name).write_text(f"# Tests\n\n## One\n\n{listed}", "utf-8")
    [test] = json.loads(run(runbook, "--format", "json", code=code).stdout)["tests"]
    return test


def test_the_tests_of_the_example_pass():
    assert "4 tests passed." in run(EXAMPLE).stdout
    assert "4 tests passed." in run(EXAMPLE.parent).stdout


PASSES = {
    "roles by part of their name": ("00:00 expect page on-call", "1:00:00 expect page Lead"),
    "people": ("00:00 expect page Ona", "60:00 expect page tomas via email"),
    "reasons": (
        "00:00 expect page on-call engineer because P1",
        "5:00 expect page on-call because repeat",
        "60m expect page team lead because not_resolved",
        "60:00 expect page team lead because L209",
    ),
    "channels": (
        "00:00 expect notice #neurocred-incidents via slack because P1",
        "00:00 expect notice team via e-mail because opened",
        "00:00 expect notice status page via person",
    ),
    "what is not": ("00:00 expect no page CTO", "60:00 expect no page engineering manager"),
    "silence": (
        "00:00 expect severity P1",
        "01:00 ack by Ona",
        "01:00 expect phase acknowledged",
        "59:59 expect silence",
        "1h expect page team lead",
    ),
    "from one time to another": ("01:00 ack by Ona", "01:00-59:59 expect silence"),
    "what is silenced wakes nobody again": (
        "01:00 silence service=backend for 2h",
        "01:00-120:00 expect silence",
        "2h1m expect page team lead because not_resolved",
    ),
    "what ends is watched": ("10:00 clear alertname=Slow", "25:00 expect phase resolved"),
    "a grade of a person": ("10:00 severity P0 by Ona", "10:00 expect page engineering manager"),
    "a declaration": (
        '10:00 declare "All is lost" service=other breach=yes by Ona',
        "10:00 expect page CTO because condition",
    ),
    "a report": ('10:00 report "Nobody can log in" service=auth', "10:00 expect severity P2"),
}


@pytest.mark.parametrize("name", PASSES)
def test_what_is_so_passes(runbook, name):
    assert outcomes(runbook, FIRES, *PASSES[name])["passed"]


FAILS = {
    "nobody is reached then": (
        "30:00 expect page team lead",
        ["30:00 page to Ona Vale (On-Call Engineer) via email because repeat"],
    ),
    "another channel": ("00:00 expect page on-call via slack", ["00:00 page to Ona Vale"]),
    "another reason": (
        "00:00 expect page on-call because not_resolved",
        ["because severity  L201"],
    ),
    "another level": ("00:00 expect severity P0", ["it is P1, because of L14 “P1 (High)”"]),
    "no silence": ("06:00 expect silence", ["05:00 page to Ona Vale"]),
    "somebody is paged": ("60:00 expect no page team lead", ["60:00 page to Tomas Reed"]),
    "a notice is no page": ("00:00 expect page tomas", ["60:00 page to Tomas Reed"]),
    "the phase": ("01:00 expect phase resolved", ["it is triggered"]),
}


@pytest.mark.parametrize("name", FAILS)
def test_what_is_not_so_fails_and_says_what_happened_instead(runbook, name):
    line, instead = FAILS[name]
    test = outcomes(runbook, FIRES, line, code=1)
    assert not test["wrong"]
    [failure] = test["failures"]
    assert (failure["line"], failure["text"]) == (6, line)
    for words in instead:
        assert any(words in said for said in failure["instead"]), failure["instead"]


def test_hours_and_minutes_are_understood_as_a_mistake(runbook):
    test = outcomes(runbook, FIRES, "01:00 expect page team lead", code=1)
    [failure] = test["failures"]
    assert failure["hint"] == "it comes at 60:00: times are minutes:seconds. Write 60:00 or 1:00:00"


WRONG = {
    "soon expect page x": "'soon' is no time",
    "00:75 expect silence": "more than 59 seconds",
    "00:00 expekt page x": "Did you mean “expect”?",
    "00:00 expect pgae x": "Did you mean “page”?",
    "00:00 expect page": "say whom",
    "00:00 expect page on-calk": "Did you mean",
    "00:00 expect page cto because not_resolve": "Did you mean “not_resolved”?",
    "00:00 expect severity P9": "declares P0, P1, P2, P3, and not P9",
    "00:00 expect silence now": "stands alone",
    "00:00 signal": "write it like this: signal alertname=ApiDown",
    "00:00 signal alertname=Slow oops": "write it like this",
    '00:00 report "x': "no closing quotation",
    "00:00 clear alertname=Other": "no signal above has these labels",
    "00:00 ack by": "ends with 'by'",
    "00:00 phase asleep": "write it like this: phase",
    "00:00-10:00 ack": "only `expect silence` lasts",
    "10:00-05:00 expect silence": "it ends before it begins",
    "00:00 reopen by Ona": "is open",
}


@pytest.mark.parametrize("line", WRONG)
def test_what_cannot_be_understood_says_why_and_fails(runbook, line):
    test = outcomes(runbook, FIRES, line, "90:00 expect severity P1", code=1)
    said = [wrong["why"] for wrong in test["wrong"] if wrong["line"] == 6]
    assert said, test
    assert WRONG[line] in said[0]


def test_a_name_that_could_be_two_roles_is_wrong_and_a_whole_one_is_not(tmp_path):
    runbook = tmp_path / "runbook.md"
    runbook.write_text(
        "# R\n\n## Severity\n\n- **P0**: all is down\n- **P1**: some is down\n\n## Escalation\n\n"
        "- P0: page the on-call immediately\n- P0: page the secondary on-call if not acknowledged"
        " in 10 minutes\n\n```tocsin-test\n00:00 signal alertname=A severity=P0\n"
        "00:00 expect page on-call\n10:00 expect page secondary\n10:00 expect page call\n```\n"
    )
    [test] = json.loads(run(runbook, "--format", "json", code=1).stdout)["tests"]
    [wrong] = test["wrong"]
    assert wrong["why"] == "'call' could be on-call or secondary on-call"
    assert test["failures"] == []


def test_lines_out_of_order_are_wrong(runbook):
    test = outcomes(runbook, FIRES, "60:00 expect silence", "05:00 ack", code=1)
    assert "comes before line 6" in test["wrong"][0]["why"]


def test_a_test_that_expects_nothing_is_wrong(runbook):
    assert outcomes(runbook, FIRES, code=1)["wrong"][0]["why"] == "it expects nothing"


def test_a_broken_line_goes_on_and_a_list_without_times_is_no_test(runbook):
    text = (
        "# Tests\n\n- read me\n- and me\n\n## One\n\n- 00:00 signal alertname=Slow\n"
        "  severity=high\n- 00:00 expect severity P1\n\n```tocsin-test named\nnothing\n```\n"
    )
    (runbook.parent / "x.test.md").write_text(text, "utf-8")
    one, named = json.loads(run(runbook, "--format", "json", code=1).stdout)["tests"]
    assert (one["name"], one["line"], one["passed"]) == ("One", 6, True)
    assert (named["name"], named["line"]) == ("named", 12)
    assert "is no time" in named["wrong"][0]["why"]


def test_a_test_in_the_document_runs_and_is_no_part_of_the_runbook(runbook):
    before = compile_runbook(read_runbook(runbook))
    text = runbook.read_text("utf-8")
    fence = f"```tocsin-test It climbs\n{FIRES}\n60:00 expect page team lead\n```\n"
    heading = "### When to climb\n"
    runbook.write_text(text.replace(heading, f"{heading}\n{fence}"), "utf-8")
    assert "passed It climbs" in run(runbook).stdout
    after = compile_runbook(read_runbook(runbook))
    rules = [
        [(rule.severity, rule.to, rule.after_s) for rule in compiled.policy.escalations]
        for compiled in (before, after)
    ]
    assert rules[0] == rules[1]
    accounts = {e.line: e for e in after.ledger if e.rule == "test of this runbook"}
    assert len(accounts) == 4


def test_test_documents_are_no_part_of_a_runbook(runbook):
    (runbook.parent / "x.test.md").write_text("# Severity\n\n## P9\n\n- all\n", "utf-8")
    assert list(read_runbook(runbook.parent)) == [str(runbook)]


def test_a_test_that_bears_the_name_of_another_document_is_left_to_it(runbook):
    (runbook.parent / "other.md").write_text("# Other\n", "utf-8")
    (runbook.parent / "other.test.md").write_text(f"## A\n\n- {FIRES}\n- 00:00 expect phase x\n")
    assert "there is no test" in run(runbook, code=2).stderr
    assert run(runbook.parent, code=1)


def test_a_test_begins_when_it_says(runbook):
    lines = ("starts at 2026-12-24T03:00", FIRES, "00:00 expect page on-call")
    assert outcomes(runbook, *lines)["passed"]
    test = outcomes(runbook, "starts whenever", *lines[1:], code=1)
    assert "begins at no time" in test["wrong"][0]["why"]


def test_junit_says_the_same_as_the_screen(runbook):
    listed = f"- {FIRES}\n- 00:00 expect page on-call\n"
    (runbook.parent / "x.test.md").write_text(
        f"## Good <&\"'>\n\n{listed}\n## Bad\n\n{listed}- 00:00 expect page cto\n"
        f"\n## Wrong \x0b\n\n{listed}- 00:00 jump\n",
        "utf-8",
    )
    file = runbook.parent / "junit.xml"
    run(runbook, "--junit", file, code=1)
    root = ET.fromstring(file.read_text("utf-8"))  # noqa: S314 - we wrote it
    assert root.tag == "testsuites"
    assert {k: root.get(k) for k in ("tests", "failures", "errors")} == {
        "tests": "3", "failures": "1", "errors": "1",
    }  # fmt: skip
    [suite] = root
    assert (suite.tag, suite.get("tests")) == ("testsuite", "3")
    good, bad, wrong = suite
    assert all(case.tag == "testcase" and float(case.get("time")) >= 0 for case in suite)
    assert (good.get("name"), len(good)) == ("Good <&\"'>", 0)
    [failure] = bad
    assert failure.tag == "failure"
    assert "expected 00:00 a page to cto" in failure.get("message")
    assert "00:00 nothing" not in failure.text
    [error] = wrong
    assert error.tag == "error"
    assert "'jump' is not something that happens" in error.text
