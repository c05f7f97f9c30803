"""The shipped rules and the dashboard: whole, read by Prometheus itself, each with a remedy."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.programs import ROOT, program

RULES = ROOT / "deploy" / "prometheus" / "tocsin.rules.yml"
RULES_TEST = ROOT / "deploy" / "prometheus" / "tocsin.rules.test.yml"
DASHBOARD = ROOT / "deploy" / "grafana" / "tocsin.json"
UNIT = ROOT / "deploy" / "systemd" / "tocsin.service"
_UNITS = {"short", "s", "cps", "reqps", "bytes", "percentunit"}


def alerts() -> list[str]:
    """Return the text of every rule."""
    parts = re.split(r"^ +- alert: ", RULES.read_text("utf-8"), flags=re.MULTILINE)
    return parts[1:]


def name_of(alert: str) -> str:
    return alert.partition("\n")[0].strip()


def panels() -> list[dict[str, Any]]:
    return json.loads(DASHBOARD.read_text("utf-8"))["panels"]


def expressions() -> list[str]:
    """Return every expression of the dashboard, as Prometheus is asked for it."""
    told = [t["expr"] for panel in panels() for t in panel.get("targets", ())]
    told += [
        each["expr"]
        for each in json.loads(DASHBOARD.read_text("utf-8"))["annotations"]["list"]
        if "expr" in each
    ]
    return [e.replace("$__rate_interval", "1m").replace("$instance", ".*") for e in told]


@pytest.mark.parametrize(("verb", "file"), [("check", RULES), ("test", RULES_TEST)])
def test_promtool_has_nothing_to_say_against_the_rules(verb: str, file: Path) -> None:
    done = subprocess.run(
        [program("promtool"), verb, "rules", str(file)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_every_rule_is_seen_to_fire_and_to_keep_quiet() -> None:
    tests = RULES_TEST.read_text("utf-8")
    quiet = set(re.findall(r"alertname: (\w+), exp_alerts: \[\]", tests))
    fires = set(re.findall(r'alertname="(\w+)"', tests))
    fires |= set(re.findall(r"alertname: (\w+)\n +exp_alerts:\n", tests))
    names = {name_of(alert) for alert in alerts()}
    assert len(names) == len(alerts()) > 20
    assert names - fires == set()
    assert names - quiet == set()


@pytest.mark.parametrize("alert", alerts(), ids=name_of)
def test_every_rule_says_how_bad_it_is_and_what_to_do(alert: str) -> None:
    assert re.search(r"labels: \{severity: (critical|warning|info), service: tocsin\}", alert)
    for said in ("summary", "description", "remedy"):
        assert re.search(rf"^ +{said}: .{{10,}}$", alert, re.MULTILINE), said
    [page, anchor] = re.search(r"^ +page: (\S+)#(\S+)$", alert, re.MULTILINE).groups()  # type: ignore[union-attr]
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
    assert anchor in anchors


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    board = json.loads(DASHBOARD.read_text("utf-8"))
    assert board["schemaVersion"] >= 39
    assert (board["uid"], board["title"], board["id"]) == ("tocsin", "Tocsin", None)
    variables = {each["name"]: each["type"] for each in board["templating"]["list"]}
    assert variables == {"datasource": "datasource", "instance": "query"}
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids)
    kinds = {each["id"] for each in board["__requires"] if each["type"] == "panel"}
    assert {panel["type"] for panel in panels()} == kinds | {"row"}


@pytest.mark.parametrize(
    "panel", [p for p in panels() if p["type"] != "row"], ids=lambda p: p["title"]
)
def test_every_panel_says_what_it_shows_in_which_unit(panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > 10
    assert panel["fieldConfig"]["defaults"]["unit"] in _UNITS
    assert panel["targets"]
    for asked in (panel, *panel["targets"]):
        assert asked["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert [t["refId"] for t in panel["targets"]] == list("ABCDEF"[: len(panel["targets"])])


def test_no_panel_lies_on_another() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
