"""``tocsin simulate``, as a person and a program call it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.reports.pages import problems_of
from tocsin.cli import simulate
from tocsin.cli.serving import settings_beside

EXAMPLE = Path(__file__).parents[2] / "examples" / "neurocred" / "incident-response.md"
AT = ("--at", "2026-12-24T03:00")


def run(*words, code=0):
    app = typer.Typer()
    simulate.register(app, settings_beside)
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result


def moments(*words):
    return json.loads(run(EXAMPLE, *AT, *words, "--format", "json").stdout)["moments"]


def pages(*words):
    """Return who is paged after how many minutes, repeats left out."""
    return [
        (moment["after_s"] / 60, moment["whom"], moment["line"])
        for moment in moments(*words)
        if moment["kind"] == "page" and moment["because"] != "repeat"
    ]


def test_a_scenario_is_played_with_the_words_of_the_runbook():
    said = run(EXAMPLE, "--scenario", "The database refuses connections", *AT).stdout
    assert "T+0:00    03:00        P1 because “The database has connectivity problems”" in said
    assert "pages Ona Vale (On-Call Engineer) by e-mail: it is P1" in said
    assert "L209 “P1: escalate when still not resolved after 1 hour”" in said
    assert "T+1:00    04:00        pages Tomas Reed (Team Lead) by e-mail: not resolved" in said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            ("--severity", "p0"),
            [(0, "Ona Vale", 208), (0, "Tomas Reed", 208), (0, "Edda Marsh", 208)],
        ),
        (("--severity", "P1"), [(0, "Ona Vale", 201), (60, "Tomas Reed", 209)]),
        (("--severity", "P1", "--resolve-after", "59m"), [(0, "Ona Vale", 201)]),
        (
            ("--severity", "P1", "--ack-after", "5m"),
            [(0, "Ona Vale", 201), (60, "Tomas Reed", 209)],
        ),
        (("--severity", "P3"), [(1440, "Ona Vale", 211)]),
        ((), [(0, "Ona Vale", 208), (0, "Tomas Reed", 208), (0, "Edda Marsh", 208)]),
    ],
)
def test_who_is_paged_when_and_by_which_line(options, expected):
    assert pages(*options) == expected


def test_nobody_is_asked_again_after_the_acknowledgement():
    asked = [m["after_s"] for m in moments("--severity", "P0", "--ack-after", "12m", "--for", "2h")]
    told = moments("--severity", "P0", "--ack-after", "12m", "--for", "2h")
    again = [m for m in told if m["because"] == "repeat"]
    assert {m["after_s"] for m in again} == {300, 600}
    assert max(asked) == 720
    assert any("Ona Vale acknowledged" in m["sentence"] for m in told)


def test_without_settings_nobody_holds_a_role_and_it_says_so(tmp_path):
    path = tmp_path / "runbook.md"
    shutil.copy(EXAMPLE, path)
    said = run(path, "--severity", "P0", *AT).stdout
    assert "no tocsin.toml beside it" in said
    assert "Nobody holds the role Team Lead" in said


@pytest.mark.parametrize(
    ("at", "zone", "instant"),
    [
        ("2026-12-24T03:00", "UTC", "2026-12-24T03:00:00Z"),
        ("2026-12-24 03:00", "europe/berlin", "2026-12-24T02:00:00Z"),
        ("2026-12-24T03:00+05:30", "Europe/Berlin", "2026-12-23T21:30:00Z"),
        ("2026-07-01", "America/New_York", "2026-07-01T04:00:00Z"),
    ],
)
def test_it_begins_when_it_is_told_to(at, zone, instant):
    said = run(EXAMPLE, "--at", at, "--zone", zone, "--format", "json").stdout
    assert json.loads(said)["started_at"] == instant


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--at", "2026-03-29T02:30", "--zone", "Europe/Berlin"), "skip this time"),
        (("--at", "2026-10-25T02:30", "--zone", "Europe/Berlin"), "comes twice"),
        (("--at", "2026-02-30T10:00"), "wants a time"),
        (("--at", "tomorrow"), "wants a time"),
        (("--zone", "Europe/Berlim"), "Did you mean “Europe/Berlin”?"),
        (("--scenario", "The API is completly down"), "Did you mean “The API is completely down”?"),
        (("--scenario", "e"), "could be"),
        (("--severity", "P9"), "declares P0, P1, P2, P3"),
        (("--ack-after", "soon"), 'wants a duration such as "10m" or "never"'),
        (("--signals", "x.jsonl", "--severity", "P1"), "and so does --signals"),
        (("--signals", "none.jsonl"), "none.jsonl: cannot be read"),
    ],
)
def test_what_cannot_be_meant_is_one_line_that_helps(options, why):
    result = run(EXAMPLE, *options, code=2)
    assert why in result.stderr
    assert result.stderr.count("\n") == 1


def alert(at, name, **labels):
    return {"at": at, "labels": {"alertname": name, "service": "backend", **labels}}


def written(tmp_path, *lines):
    path = tmp_path / "signals.jsonl"
    path.write_text(
        "\n".join(each if isinstance(each, str) else json.dumps(each) for each in lines) + "\n"
    )
    return path


def test_a_file_of_alerts_is_played_and_bad_lines_are_named(tmp_path):
    path = written(
        tmp_path,
        alert("2026-12-24T03:00:00Z", "Slow", severity="high"),
        "{not json",
        alert("2026-12-24T03:01:00Z", "Down", severity="critical"),
        {"labels": {"alertname": "NoTime"}},
        "[]",
        {"at": "2026-12-24T03:02:00", "labels": {"alertname": "NoZone"}},
        "",
    )
    result = run(EXAMPLE, "--signals", path)
    assert "From P1 to P0" in result.stdout or "P0 because" in result.stdout
    faults = [line for line in result.stderr.splitlines() if line.startswith(f"{path}:")]
    assert [line.removeprefix(f"{path}:").split(":")[0] for line in faults] == ["2", "4", "5", "6"]
    found = json.loads(run(EXAMPLE, "--signals", path, "--format", "json").stdout)
    assert found["signals"]["unusable"] == 4
    assert {m["severity"] for m in found["moments"] if m["kind"] == "page"} == {"P0", "P1"}


def test_a_file_of_alerts_begins_when_it_is_told_to(tmp_path):
    path = written(tmp_path, alert("2020-01-01T00:00:00Z", "Slow", severity="high"))
    found = json.loads(run(EXAMPLE, "--signals", path, *AT, "--format", "json").stdout)
    assert found["moments"][0]["at"] == "2026-12-24T03:00:00Z"


def test_what_is_not_sent_again_goes_stale_and_stays_open(tmp_path):
    path = written(tmp_path, alert("2026-12-24T03:00:00Z", "Slow", severity="high"))
    said = run(EXAMPLE, "--signals", path, "--for", "30m").stdout
    assert "T+0:11    03:11        Slow was not sent again in time: stale" in said


def test_the_drawing_is_one_page_that_needs_nothing_else(tmp_path):
    file = tmp_path / "timeline.html"
    title = "<script>alert(1)</script> & co"
    path = written(tmp_path, alert("2026-12-24T03:00:00Z", title, severity="critical"))
    run(EXAMPLE, "--signals", path, "--ack-after", "12m", "--html", file)
    text = file.read_text("utf-8")
    assert problems_of(text) == []
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert all(name in text for name in ("Ona Vale", "Tomas Reed", "#neurocred-incidents"))


def test_a_drawing_that_cannot_be_written_is_said(tmp_path):
    result = run(EXAMPLE, *AT, "--html", tmp_path / "no" / "such" / "folder.html", code=2)
    assert "cannot be written" in result.stderr
