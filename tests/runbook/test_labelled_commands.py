"""Commands with the class that a careful person gives them, and what no text may do to a class."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tocsin.cli.classify import register
from tocsin.core.policy import CommandClass
from tocsin.runbook.classify import classify
from tocsin.runbook.spoken import classify_text

LABELLED = [
    json.loads(line)
    for line in (Path(__file__).parent / "labelled" / "commands.jsonl").read_text().splitlines()
]
RUNNER = CliRunner()
app = typer.Typer()
app.callback()(lambda: None)
register(app)


@pytest.mark.parametrize("case", LABELLED, ids=lambda case: case["text"][:60])
def test_a_command_has_the_class_that_a_careful_person_gives_it(case):
    found = classify_text(case["text"])
    assert found.kind == case["class"], found.why


def test_the_labelled_set_is_large_and_says_nothing_twice():
    assert len(LABELLED) >= 400
    assert len({case["text"] for case in LABELLED}) == len(LABELLED)
    many = Counter(case["class"] for case in LABELLED)
    assert many["mutating"] >= 200
    assert set(many) == {kind.value for kind in CommandClass}


@given(st.text(max_size=200))
def test_any_text_is_judged(text):
    found = classify_text(text)
    assert found.why
    if found.kind in (CommandClass.NEEDS_SHELL, CommandClass.NOT_A_COMMAND):
        assert found.argv is None


@given(st.sampled_from(LABELLED), st.sampled_from(["--unheard-of", "--unheard-of=1", "-\u00e6"]))
def test_a_flag_that_nobody_knows_makes_nothing_milder(case, flag):
    words = case["text"].split()
    if classify_text(case["text"]).kind is not CommandClass.MUTATING:
        return
    assert classify_text(" ".join([*words, flag])).kind is not CommandClass.READ_ONLY


@given(st.sampled_from(LABELLED))
def test_how_a_command_is_quoted_changes_nothing(case):
    found = classify_text(case["text"])
    if found.argv is None or found.placeholders:
        return
    try:
        words = shlex.split(case["text"])
    except ValueError:
        return
    if "|" in words or classify(words).kind is not found.kind:
        return
    again = " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
    assert classify_text(again).kind is found.kind


def test_the_answer_at_a_terminal_says_what_would_run():
    said = RUNNER.invoke(app, ["classify", "kubectl logs -f $POD -n <ns>"])
    assert said.exit_code == 0
    assert "read_only: it only reads." in said.output
    assert 'argv     ["kubectl","logs","--tail=200","$POD","-n","<ns>"]' in said.output
    assert "$POD (pod), <ns> (ns)" in said.output


def test_lines_are_answered_one_by_one_and_a_bad_one_costs_no_other():
    lines = '{"text": "kubectl get secrets"}\nnope\n\n{"text": "rm -rf /"}\n'
    said = RUNNER.invoke(app, ["classify", "--stdin", "--format", "json"], input=lines)
    assert said.exit_code == 2
    first, second, third = map(json.loads, said.output.splitlines())
    assert (first["class"], first["program"]) == ("sensitive_read", "kubectl")
    assert second["error"].startswith("line 2: ")
    assert third["class"] == "mutating"


def test_without_anything_to_judge_it_says_so():
    for arguments in (["classify"], ["classify", "ls", "--stdin"]):
        said = RUNNER.invoke(app, arguments, input="")
        assert said.exit_code == 2
        assert "Give a command" in said.output
