"""Alerts and their documents: two for one, none that leads to it, links that lead nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tocsin.base.source import Source
from tocsin.core.explained import alert_key, play_at
from tocsin.core.policy import Play, Policy
from tocsin.runbook.fields import is_alert_name
from tocsin.runbook.findings import did_you_mean
from tocsin.runbook.lint.known import Known, KnownAlert
from tocsin.runbook.lint.pen import Pen

_TWICE, _UNREACHED, _LEADS_NOWHERE = "T176", "T177", "T178"
_STEM = re.compile(r"([^/\\]+?)(?:\.\w+)?$")
_PLACES = frozenset(("readme", "index", "runbook", "runbooks", "alerts", "playbook", "playbooks"))


def check_alerts(policy: Policy, known: Known, pen: Pen) -> None:
    """Report alerts with two documents; with ``known.alerts``, also documents without an alert."""
    _check_twice(policy, pen)
    if known.alerts is not None:
        _check_reached(policy, known, known.alerts, pen)
        _check_links(policy, known, known.alerts, pen)


def names_of(play: Play) -> tuple[str, ...]:
    """Return the alerts that a play explains by what is written: fields, file name, title."""
    names = list(play.alert)
    stem = _STEM.search(play.source.file)
    if not play.anchor and stem and alert_key(stem[1]) not in _PLACES:
        names.append(stem[1])
    if not play.anchor or is_alert_name(play.name):
        names.append(play.name)
    by_key = {alert_key(name): name for name in reversed(names)}
    by_key.pop("", None)
    return tuple(by_key.values())


def _check_twice(policy: Policy, pen: Pen) -> None:
    first: dict[str, Play] = {}
    told: set[tuple[str, str]] = set()
    routes = {route.alert: route.play for route in policy.alerts}
    for play in _alert_plays(policy):
        for name in names_of(play):
            key = alert_key(name)
            other = first.setdefault(key, play)
            if other is play or (other.name, play.name) in told:
                continue
            told |= {(other.name, play.name), (play.name, other.name)}
            loser, winner = (other, play) if routes.get(key) == play.name else (play, other)
            pen.find(
                _TWICE,
                loser.source,
                name,
                f"{winner.source} explains the alert \u201c{name}\u201d as well, and is the one that is shown.",
                "Keep one of the two, or let each name its own alerts.",
            )


def _alert_plays(policy: Policy) -> Iterator[Play]:
    return (play for play in policy.plays if not play.anchor or play.alert)


def _check_reached(policy: Policy, known: Known, alerts: tuple[KnownAlert, ...], pen: Pen) -> None:
    by_key = {alert_key(alert.name): alert.name for alert in alerts}
    linked = {
        play.name
        for alert in alerts
        if alert.runbook_url
        and (play := play_at(policy, known.tuning.runbook_urls, alert.runbook_url)) is not None
    }
    for play in _alert_plays(policy):
        names = names_of(play)
        if play.name in linked or any(alert_key(name) in by_key for name in names):
            continue
        near = next((hint for name in names if (hint := did_you_mean(name, by_key.values()))), "")
        told = " Only its words may suggest it." if play.symptoms else ""
        pen.find(
            _UNREACHED,
            play.source,
            play.name,
            f"No alert leads to \u201c{play.name}\u201d: of {_counted(len(by_key))} none has its name or"
            f" a runbook_url to it.{told}",
            f"Name the alert in the title or under `alerts:` in the front matter. {near}".strip(),
        )


def _check_links(policy: Policy, known: Known, alerts: tuple[KnownAlert, ...], pen: Pen) -> None:
    """Report links of alerts into the runbook's own folders that lead to no document."""
    urls = known.tuning.runbook_urls
    for alert in alerts:
        link = alert.runbook_url
        if not any(link.startswith(prefix) for prefix in urls) or not alert.file:
            continue
        if play_at(policy, urls, link) is None:
            pen.find(
                _LEADS_NOWHERE,
                Source(alert.file, alert.line, link),
                link,
                f"The link of {alert.name} leads to no document of this runbook: {link}",
                "Write the document, or correct the link.",
            )


def _counted(number: int) -> str:
    return "1 alert" if number == 1 else f"{number} alerts"
