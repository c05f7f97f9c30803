"""``tocsin backtest``: what changes, how people act in it, and what a server gives to it."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
import typer
from typer.testing import CliRunner

from tests.cli.test_client import PROGRAM, Terminal
from tests.reports.pages import problems_of
from tests.web.site import open_site, served
from tocsin.cli import backtest
from tocsin.cli.serving import settings_beside

EXAMPLE = Path(__file__).parents[2] / "examples" / "neurocred" / "incident-response.md"
START = datetime(2026, 11, 2, 1, 0, tzinfo=UTC)
backtest.register(PROGRAM, settings_beside)


def run(*words, code=0):
    app = typer.Typer()
    app.command("other")(lambda: None)
    backtest.register(app, settings_beside)
    result = CliRunner().invoke(app, ["backtest", *(str(word) for word in words)])
    assert result.exit_code == code, result.output
    return result


def edited(tmp_path, *changes):
    text = EXAMPLE.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    shutil.copy(EXAMPLE.parent / "tocsin.toml", tmp_path / "tocsin.toml")
    path = tmp_path / "edited.md"
    path.write_text(text, "utf-8")
    return path


def at(minutes):
    return (START + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def alert(minutes, name="Slow", *, ends=None, **labels):
    said = {"at": at(minutes), "labels": {"alertname": name, "service": "backend", **labels}}
    return {**said, "startsAt": at(minutes), "endsAt": at(minutes + 4 if ends is None else ends)}


def resent(minutes, until, name="Slow", **labels):
    first = alert(minutes, name, **labels)
    for minute in range(minutes, until):
        yield {**first, "at": at(minute), "endsAt": at(minute + 4)}
    yield {**first, "at": at(until), "endsAt": at(until)}


def record(minutes, act, *, opened=0, after_page_s=0.0, **fields):
    return {
        "at": at(minutes), "desk": "backend", "incident": "INC-9", "opened_at": at(opened),
        "after_page_s": after_page_s, "input": {"type": act, **fields},
    }  # fmt: skip


def written(tmp_path, *lines):
    path = tmp_path / "signals.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def found(new, *options, against=EXAMPLE):
    result = run("--runbook", new, "--against", against, *options, "--format", "json")
    return json.loads(result.stdout)


def total(compared, name):
    [row] = [row for row in compared["totals"] if row["name"] == name]
    return row["old"], row["new"]


SOONER = ("P1: escalate when still not resolved after 1 hour",
          "P1: escalate when still not resolved after 20 minutes")  # fmt: skip


def test_the_same_runbook_changes_nothing(tmp_path):
    path = written(tmp_path, *resent(0, 90, severity="high"))
    compared = found(edited(tmp_path), "--signals", path)
    assert compared["headline"] == "Nothing changes: both runbooks make the same of it."
    assert compared["examples"] == []
    assert total(compared, "incidents") == (1, 1)


def test_a_rung_that_comes_sooner_pages_more_and_cites_both_lines(tmp_path):
    path = written(tmp_path, *resent(0, 30, severity="high"))
    compared = found(edited(tmp_path, SOONER), "--signals", path, "--humans", "none")
    assert compared["headline"] == "Tomas Reed is paged once more, 1 night page more."
    assert (total(compared, "pages"), total(compared, "escalations")) == ((1, 2), (0, 1))
    [example] = compared["examples"]
    assert (example["kind"], example["old"]) == ("page", "Tomas Reed is not paged")
    assert example["new"] == "Tomas Reed is paged after 20 min"
    assert example["new_source"]["line"] == 209


def test_a_criterion_that_moves_changes_severities(tmp_path):
    down = "- The complete service is down\n"
    new = edited(tmp_path, (down, ""), ("### P3 (Low)\n", f"### P3 (Low)\n\n{down}"))
    path = written(tmp_path, alert(0, summary="", title="x"), alert(0, "CompleteServiceDown"))
    compared = found(new, "--signals", path, "--humans", "none")
    assert compared["headline"].startswith("1 incident changes severity")
    assert [e["old"] for e in compared["examples"] if e["kind"] == "severity"] == ["P0"]


def test_repeats_cost_no_decision_and_are_counted_as_read(tmp_path):
    path = written(tmp_path, *resent(0, 600, severity="low"))
    compared = found(edited(tmp_path), "--signals", path, "--humans", "none")
    assert compared["inputs"]["lines"] == 601
    assert total(compared, "incidents") == (1, 1)


def acted(tmp_path):
    """A P1 that was acknowledged 30 minutes after its page and resolved after 50."""
    return written(
        tmp_path,
        *resent(0, 29, severity="high"),
        record(30, "Acknowledged", after_page_s=1800.0, by="Ona", via="app"),
        *list(resent(0, 100, severity="high"))[30:],
        record(50, "ResolvedByPerson", after_page_s=3000.0, by="Ona"),
    )


def test_people_act_as_long_after_the_page_as_they_did(tmp_path):
    new = edited(tmp_path, SOONER)
    compared = found(new, "--signals", acted(tmp_path))
    # Six repeats until somebody acknowledges at 30; the team lead is paged at 20, 25 and 30 as well.
    assert compared["humans"]["model"] == "same-delay"
    assert compared["humans"]["acts"]["done"] == 2
    assert total(compared, "pages") == (7, 10)
    none = found(new, "--signals", acted(tmp_path), "--humans", "none")
    assert (total(none, "of these repeats"), none["humans"]["acts"]["done"]) == ((0, 0), 0)


def test_who_is_paged_sooner_acts_sooner_unless_the_instant_counts(tmp_path):
    day = "P3: escalate when still not resolved after"
    new = edited(tmp_path, (f"{day} 24 hours", f"{day} 1 hour"))
    path = written(
        tmp_path,
        *resent(0, 29, severity="low"),
        record(30, "Acknowledged", after_page_s=1800.0, by="Ona", via="app"),
        *list(resent(0, 1500, severity="low"))[30:1470],
        record(1470, "ResolvedByPerson", after_page_s=5400.0, by="Ona"),
    )
    pages = {}
    for humans in ("same-delay", "same-instant", "none"):
        compared = found(new, "--signals", path, "--humans", humans)
        assert compared["humans"]["acts"]["done"] == (0 if humans == "none" else 2)
        pages[humans] = total(compared, "pages")
    # A recorded 90 minutes after the first word to somebody: by then the page at 60 repeats.
    assert pages["same-delay"][0] == 0
    assert pages["same-delay"][1] < 10
    assert pages["same-instant"][1] > 200
    assert pages["none"] == (1, 1)


def test_acts_without_an_incident_are_said(tmp_path):
    act = record(40, "Acknowledged", opened=35, after_page_s=1.0, by="Ona", via="app")
    path = written(
        tmp_path,
        *resent(1, 20, severity="info"),
        record(
            30, "SeverityChosen", opened=1, after_page_s=60.0, by="Ona", level="P9", because="x"
        ),
        {**act, "desk": "other", "incident": "INC-10"},
        alert(60, "Other", severity="info"),
    )
    compared = found(edited(tmp_path), "--signals", path)
    acts = compared["humans"]["acts"]
    assert (acts["done"], acts["refused"], acts["without_incident"]) == (0, 1, 1)
    assert acts["refusals"] == {"SeverityChosen": 1}
    assert "1 are refused, 1 find no incident" in compared["humans"]["sentence"]


def test_the_report_is_one_page_that_needs_nothing_else(tmp_path):
    path = written(tmp_path, *resent(0, 30, "<b>Slow</b>", severity="high"))
    file = tmp_path / "report.html"
    said = run("--runbook", edited(tmp_path, SOONER), "--against", EXAMPLE, "--signals", path,
               "--humans", "none", "--html", file)  # fmt: skip
    assert "Tomas Reed is paged once more" in said.stdout
    assert "Nobody acts" in said.stdout
    text = file.read_text("utf-8")
    assert problems_of(text) == []
    assert "<b>Slow" not in text
    for words in ("Pages by the hour of day", "Tomas Reed", "Nobody acts", "L209"):
        assert words in text


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ((), "say either --since"),
        (("--since", "90d", "--signals", "x"), "say either --since"),
        (("--signals", "none.jsonl"), "none.jsonl: cannot be read"),
        (("--since", "soon"), 'wants a duration such as "10m"'),
    ],
)
def test_what_cannot_be_meant_is_one_line(options, why):
    result = run("--runbook", EXAMPLE, *options, code=2)
    assert why in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_the_other_runbook_a_file_of_alerts_is_not_enough(tmp_path):
    path = written(tmp_path, alert(0))
    assert "--against OLD" in run("--runbook", EXAMPLE, "--signals", path, code=2).stderr


def test_an_export_that_broke_off_is_said(tmp_path):
    head = {
        "tocsin": "recorded inputs", "format": 1, "since": at(0), "until": at(60),
        "documents": {"runbook.md": EXAMPLE.read_text("utf-8")},
    }  # fmt: skip
    signal = {"type": "SignalReceived", "signal": {
        "fingerprint": "f", "source": "prometheus", "title": "Down", "starts_at": at(0),
        "labels": {"severity": "critical"}}}  # fmt: skip
    path = written(tmp_path, head, {"at": at(0), "desk": "api", "input": signal})
    result = run("--runbook", edited(tmp_path, SOONER), "--signals", path)
    assert "the export broke off" in result.stderr
    assert "the runbook in force against" in result.stdout
    whole = written(tmp_path, head, {"at": at(0), "desk": "api", "input": signal},
                    {"end": {"records": 1}})  # fmt: skip
    assert run("--runbook", edited(tmp_path), "--signals", whole).stderr == ""


# -- A server --------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_server_gives_what_reached_it_and_the_runbook_in_force(database, tmp_path):
    with structlog.testing.capture_logs():
        async with open_site(database) as site, served(site.app) as url:
            await site.ask(
                "POST", "/api/v1/incidents", json={"title": "All is lost", "severity": "P1"}
            )
            terminal = Terminal(site, url)
            new = edited(tmp_path)
            said = await terminal.run("backtest", "--runbook", str(new), "--since", "90d",
                                      "--format", "json")  # fmt: skip
            compared = json.loads(said.stdout)
            assert compared["old"]["revision"] == site.context.book.current.policy.revision
            assert total(compared, "incidents") == (1, 1)
            assert compared["inputs"]["cut"] is False


@pytest.mark.anyio
async def test_who_may_read_may_export_and_nobody_else(database):
    async with open_site(database) as site:
        path = "/api/v1/recorded-inputs"
        assert (await site.ask("GET", path, "reader")).status_code == 200
        assert (await site.ask("GET", path, "ingest")).status_code == 403
        assert (await site.ask("GET", f"{path}?since=soon", "reader")).status_code == 422
        answer = await site.ask("GET", f"{path}?since=2026-01-01T00:00:00Z", "reader")
        first, *_, last = map(json.loads, answer.text.splitlines())
        assert (first["tocsin"], first["format"]) == ("recorded inputs", 1)
        assert set(last) == {"end"}
