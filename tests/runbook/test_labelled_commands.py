"""Commands with the class that a careful person gives them, and what no text may do to a class."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.runbook import documents
from tocsin.cli.classify import register
from tocsin.core.policy import CommandClass
from tocsin.runbook.classify import PROGRAMS, classify, is_known_program
from tocsin.runbook.spoken import classify_text

LABELLED = [
    json.loads(line)
    for line in (Path(__file__).parent / "labelled" / "commands.jsonl").read_text().splitlines()
]
RUNNER = CliRunner()
app = typer.Typer()
app.callback()(lambda: None)
register(app)


# What may be done unasked comes first.
MILDER_FIRST = (
    CommandClass.READ_ONLY,
    CommandClass.LONG_RUNNING,
    CommandClass.NEEDS_SHELL,
    CommandClass.SENSITIVE_READ,
    CommandClass.MUTATING,
)
NAUGHTY = documents.SHARED / "badinput" / "blns" / "blns.json"


def rank(kind: CommandClass) -> int:
    return MILDER_FIRST.index(kind)


def plain_argv(case: dict[str, str]) -> list[str] | None:
    """Return the words of a labelled command that is one plain argv, or None."""
    found = classify_text(case["text"])
    if found.argv is None or "\n" in case["text"] or found.text.startswith(("$ ", "user@")):
        return None
    try:
        words = shlex.split(case["text"])
    except ValueError:
        return None
    return None if {"|", "2>&1", "2>/dev/null"} & set(words) else words


@pytest.mark.parametrize("case", LABELLED, ids=lambda case: case["text"][:60])
def test_a_command_has_the_class_that_a_careful_person_gives_it(case):
    found = classify_text(case["text"])
    assert found.kind == case["class"], found.why


@pytest.mark.parametrize(
    "case",
    [case for case in LABELLED if case["class"] in ("mutating", "sensitive_read")],
    ids=lambda case: case["text"][:60],
)
def test_nothing_that_changes_or_shows_secrets_would_run_unasked(case):
    found = classify_text(case["text"])
    assert found.kind is not CommandClass.READ_ONLY
    # A command that never ends would run in its bounded form.
    assert found.kind is not CommandClass.LONG_RUNNING or found.argv is None


def test_the_labelled_set_is_large_and_says_nothing_twice():
    assert len(LABELLED) >= 900
    assert len({case["text"] for case in LABELLED}) == len(LABELLED)
    many = Counter(case["class"] for case in LABELLED)
    assert many["mutating"] >= 400
    assert min(many.values()) >= 20
    assert set(many) == {kind.value for kind in CommandClass}


@pytest.mark.parametrize(
    "case",
    [case for case in LABELLED if case["class"] == "long_running"],
    ids=lambda case: case["text"][:60],
)
def test_what_is_bounded_ends_and_only_reads(case):
    argv = classify_text(case["text"]).argv
    if argv is not None:
        again = classify(argv)
        assert (again.kind, again.argv) == (CommandClass.READ_ONLY, argv)


@given(st.text(max_size=200))
def test_any_text_is_judged(text):
    found = classify_text(text)
    assert found.why
    if found.kind in (CommandClass.NEEDS_SHELL, CommandClass.NOT_A_COMMAND):
        assert found.argv is None


@given(
    st.sampled_from(LABELLED),
    st.lists(st.sampled_from(list("abc-/$<>{}[]()|&;'\"\\ \n\t=*?~#!@%")), max_size=12),
    st.integers(0, 60),
)
def test_a_command_with_signs_thrown_in_is_judged(case, signs, at):
    text = case["text"][:at] + "".join(signs) + case["text"][at:]
    assert classify_text(text).why


@given(st.lists(st.text(max_size=20), max_size=6), st.sampled_from(sorted(PROGRAMS)))
def test_any_words_behind_a_program_are_judged(words, program):
    assert classify([program, *words]).why


def test_naughty_strings_are_judged_and_name_no_reader():
    if not NAUGHTY.is_file():
        pytest.skip("../shared/badinput is not here")
    for text in json.loads(NAUGHTY.read_text(encoding="utf-8")):
        assert classify_text(text).kind is not CommandClass.READ_ONLY or is_known(text)
        for program in ("kubectl get", "psql -c", "curl", "grep"):
            assert classify_text(f"{program} {text}").why


def is_known(text: str) -> bool:
    return is_known_program(text.split()[0])


@given(
    st.sampled_from(LABELLED),
    st.sampled_from(["--unheard-of", "--unheard-of=1", "-\u00e6"]),
    st.integers(1, 12),
)
def test_a_flag_that_nobody_knows_makes_nothing_milder(case, flag, at):
    words = plain_argv(case)
    if words is None:
        return
    more = [*words[:at], flag, *words[at:]]
    before, after = classify(words).kind, classify(more).kind
    assert rank(after) >= rank(before) or after is CommandClass.NEEDS_SHELL, more


@given(st.sampled_from(LABELLED), st.sampled_from(["single", "double", "letters"]))
def test_how_a_command_is_quoted_changes_nothing(case, way):
    words = plain_argv(case)
    found = classify_text(case["text"])
    if words is None or found.placeholders:
        return
    quoted = {
        "single": ["'" + word.replace("'", "'\\''") + "'" for word in words],
        "double": ['"' + re.sub(r'([$`"\\])', r"\\\1", word) + '"' for word in words],
        "letters": ["".join(f"\\{c}" if c != "\n" else "'\n'" for c in word) for word in words],
    }
    again = classify_text(" ".join(quoted[way]))
    assert (again.kind, again.argv) == (found.kind, found.argv)


def test_the_answer_at_a_terminal_says_what_would_run():
    said = RUNNER.invoke(app, ["classify", "kubectl logs -f $POD -n <ns>"])
    assert said.exit_code == 0
    assert "long_running: it never ends as it is written; what would run ends" in said.output
    assert 'argv     ["kubectl","logs","--tail=200","$POD","-n","<ns>"]' in said.output
    assert "$POD (pod, name), <ns> (ns, name)" in said.output


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


def test_words_that_a_shell_has_split_are_taken_as_they_are():
    said = RUNNER.invoke(app, ["classify", "psql", "-c", "SELECT 1; DROP TABLE x"])
    assert said.output.startswith("mutating: ")
    assert 'argv     ["psql","-c","SELECT 1; DROP TABLE x"]' in said.output


def test_a_line_that_is_answered_says_all_of_it():
    said = RUNNER.invoke(
        app, ["classify", "--stdin", "--format", "json"], input='{"text": "kubectl logs <pod>"}\n'
    )
    assert json.loads(said.output) == {
        "text": "kubectl logs <pod>",
        "class": "read_only",
        "program": "kubectl",
        "why": "kubectl logs only reads; it needs a value for <pod>",
        "argv": ["kubectl", "logs", "<pod>"],
        "placeholders": [{"name": "pod", "text": "<pod>", "at": 2, "type": "name"}],
    }
