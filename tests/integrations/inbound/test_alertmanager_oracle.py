"""A real Alertmanager judges the same alerts, and we agree with it."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import threading
from datetime import UTC, datetime, timedelta

import pytest

from tocsin.integrations.inbound.alertmanager import read_alerts

BINARY = shutil.which("prometheus-alertmanager")
pytestmark = pytest.mark.skipif(BINARY is None, reason="no prometheus-alertmanager is installed")

CONFIG = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
ZERO = "0001-01-01T00:00:00.000Z"
NOW = datetime.now(UTC)  # noqa: TID251 - the oracle has no clock but its own


def ago(minutes: float) -> str:
    return (NOW - timedelta(minutes=minutes)).isoformat()


ALERTS = [
    {"labels": {"a": "b"}},
    {"labels": {"a": "b", "empty": ""}},
    {"labels": {"empty": ""}},
    {"labels": {}},
    {},
    {"labels": None},
    {"labels": {"a": None}},
    {"labels": {"a": "b"}, "annotations": None},
    {"labels": {"a": "b"}, "annotations": {"empty": ""}},
    {"labels": {"a": "b"}, "startsAt": ZERO, "endsAt": ZERO},
    {"labels": {"a": "b"}, "startsAt": ago(5), "endsAt": ago(1)},
    {"labels": {"a": "b"}, "startsAt": ago(1), "endsAt": ago(5)},
    {"labels": {"a": "b"}, "startsAt": ago(5), "endsAt": ago(5)},
    {"labels": {"a": "b"}, "endsAt": ago(5)},
    {"labels": {"a": "b"}, "endsAt": ago(-5)},
    {"labels": {"a": "b"}, "startsAt": ago(-4)},
    {"labels": {"a": "b"}, "startsAt": ago(-60)},
    {"labels": {"a-b": "c"}},
    {"labels": {"0a": "c"}},
    {"labels": {"_a0": "c"}},
    {"labels": {"ä": "c"}},
    {"labels": {"a": "b"}, "annotations": {"x y": "c"}},
    {"labels": {"a": "line\nbreak \u2028 \U0001f600"}},
    {"labels": {"a": 1}},
    {"labels": ["a"]},
    {"labels": {"a": "b"}, "startsAt": "yesterday"},
    {"labels": {"a": "b"}, "unknown": {"x": [1]}},
    {"labels": {"a": "b"}, "generatorURL": "http://prometheus/graph?g0.expr=up"},
    "a",
    7,
]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alertmanager")
    (folder / "config.yml").write_text(CONFIG)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            BINARY,
            f"--config.file={folder}/config.yml",
            f"--storage.path={folder}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            try:
                if ask(port, "GET", "/-/ready")[0] == 200:
                    break
            except OSError:
                threading.Event().wait(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


# By number: the alerts hold the time of now, and parallel workers must agree on the names.
@pytest.mark.parametrize("number", range(len(ALERTS)))
def test_we_take_and_refuse_what_alertmanager_does(oracle, number):
    alert = ALERTS[number]
    body = json.dumps([alert])
    status, said = ask(oracle, "POST", "/api/v2/alerts", body)
    received = read_alerts(body.encode(), datetime.now(UTC), "k")  # noqa: TID251
    assert len(received.signals) == (status == 200), said
    if status == 400 and b"labels" in body.encode():
        for words in ("at least one label pair required", "start time must be before end time"):
            assert (words.encode() in said) == (words in received.rejected[0].why)


def test_filled_in_times_are_alertmanagers(oracle):
    for number, alert in enumerate(a for a in ALERTS if isinstance(a, dict)):
        if not isinstance(alert.get("labels"), dict):
            continue
        marked = {**alert, "labels": {**alert["labels"], "number": str(number)}}
        body = json.dumps([marked])
        if ask(oracle, "POST", "/api/v2/alerts", body)[0] != 200:
            continue
        [ours] = read_alerts(body.encode(), datetime.now(UTC), "k").signals  # noqa: TID251
        path = f"/api/v2/alerts?filter=number%3D%22{number}%22"
        found = json.loads(ask(oracle, "GET", path)[1])
        if not found:
            assert not ours.is_firing(datetime.now(UTC))  # noqa: TID251 - it lists no resolved ones
            continue
        [theirs] = found
        assert ours.labels == theirs["labels"]
        assert ours.annotations == theirs["annotations"]
        if "startsAt" not in alert and "endsAt" in alert:
            # Alertmanager lets such an alert begin when it ends; we, when it arrives.
            assert ours.starts_at <= ours.ends_at
            continue
        for mine, other in ((ours.starts_at, "startsAt"), (ours.ends_at, "endsAt")):
            gap = mine - datetime.fromisoformat(theirs[other])
            assert abs(gap) < timedelta(seconds=5), (alert, other)
