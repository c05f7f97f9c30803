"""How fast months of recorded signals go through two runbooks, and a simulation through a month.

Measured in the time of one core, whatever else the machine does.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from tests.benches.shares import Row, a_second
from tocsin.cli.recordings import Recording
from tocsin.core.inputs import Signal
from tocsin.core.surroundings import Contact, Directory, Person, Surroundings, Tuning, role_key
from tocsin.reports.account import Account
from tocsin.runbook import compile_runbook
from tocsin.sim.replay import Humans, Replay
from tocsin.sim.simulation import Simulation, signal_of

if TYPE_CHECKING:
    from typing import BinaryIO

EXAMPLE = Path(__file__).parents[2] / "examples" / "neurocred" / "incident-response.md"
_ROLES = ("On-Call Engineer", "Team Lead", "Engineering Manager", "CTO")
_SAYINGS = (
    "All API endpoints return 500",
    "Database connection errors",
    "High error rate",
    "Slow response times",
    "Disk is nearly full",
    "A certificate expires soon",
)
_LEVELS = ("critical", "high", "warning", "info", "")
_START = datetime(2026, 9, 1, tzinfo=UTC)


def write_signals(file: BinaryIO, count: int, *, seed: int = 1) -> int:
    """Write about so many alerts of 60 services, re-sent each minute; return how many were news.

    As of a team whose alerts fire for about an hour each: one in thirty is.
    """
    rng = Random(seed)  # noqa: S311 - the same for the same seed
    written = news = 0
    at = _START
    firing: dict[int, tuple[str, str, datetime, int]] = {}
    number = 0
    while written < count:
        at += timedelta(minutes=1)
        for _ in range(rng.choice((0, 0, 1, 1, 2))):
            number += 1
            labels = {
                "alertname": f"Alert{rng.randrange(40)}",
                "service": f"service-{rng.randrange(60)}",
                "instance": f"10.0.{rng.randrange(4)}.{rng.randrange(250)}:9100",
            }
            level = rng.choice(_LEVELS)
            if level:
                labels["severity"] = level
            annotations = {"summary": rng.choice(_SAYINGS)}
            said = f'"labels":{json.dumps(labels)},"annotations":{json.dumps(annotations)}'
            firing[number] = (said, at.isoformat(), at, rng.randint(2, 118))
            news += 1
        for key, (said, starts_at, _, left) in list(firing.items()):
            ends_at = at if left == 0 else at + timedelta(minutes=4)
            line = (
                f'{{"at":"{at.isoformat()}",{said},'
                f'"startsAt":"{starts_at}","endsAt":"{ends_at.isoformat()}"}}\n'
            )
            file.write(line.encode())
            written += 1
            if left == 0:
                del firing[key]
                news += 1
            else:
                firing[key] = (said, starts_at, at, left - 1)
    return news


def team() -> Surroundings:
    """Return four people who hold the roles of the example, with the example's labels."""
    people = {
        role_key(role): Person(role_key(role), role, (Contact("email", "a@example.org"),))
        for role in _ROLES
    }
    directory = Directory(people=people, roles={name: (name,) for name in people})
    levels = {"critical": "P0", "high": "P1", "warning": "P2", "info": "P3"}
    return Surroundings(directory, Tuning(repeat_every_s=300, severity_by_label=levels))


def rows(folder: Path, count: int = 500_000) -> list[Row]:
    """Return the rates of a backtest, one core, both runbooks, reading the file included."""
    text = EXAMPLE.read_text("utf-8")
    old = compile_runbook({"runbook.md": text}).policy
    new = compile_runbook({"runbook.md": text.replace("after 1 hour", "after 20 minutes")}).policy
    path = folder / "signals.jsonl"
    with path.open("wb") as file:
        news = write_signals(file, count)
    found = [_month(old)]
    accounts = Account(UTC), Account(UTC)
    began = time.process_time()
    recording = Recording(path)
    surroundings = team()
    quiet = Surroundings(
        surroundings.directory, Tuning(0, 900, surroundings.tuning.severity_by_label)
    )
    replays = [
        Replay(policy, quiet, _START, humans=Humans.NONE, listen=account.take)
        for policy, account in zip((old, new), accounts, strict=True)
    ]
    for at, item in recording.items():
        for replay in replays:
            assert isinstance(item, Signal)
            replay.hear(item, at)
    took_s = time.process_time() - began
    assert recording.faulty == 0
    assert accounts[1].total_pages > accounts[0].total_pages > 0
    share = f"{news / recording.lines:.0%} of {recording.lines:,} are news"
    found.append(
        (
            f"backtest: signals through both runbooks ({share})",
            ">= 50,000/s",
            a_second(recording.lines, took_s),
        )
    )
    return found


def _month(policy: object) -> Row:
    from tocsin.core.policy import Policy

    assert isinstance(policy, Policy)
    began = time.process_time()
    simulation = Simulation(policy, team(), _START)
    simulation.hear(signal_of(_START, severity="P1"), _START)
    simulation.finish(timedelta(days=30))
    took_s = time.process_time() - began
    pages = len(simulation.happened)
    return (
        f"simulate: 30 days of an incident that nobody acknowledges ({pages:,} events)",
        "< 1 s",
        f"{took_s:.2f} s",
    )
