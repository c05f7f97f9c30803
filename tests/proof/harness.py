"""The parts of every proof, in one place to import them from."""

from __future__ import annotations

from tests.proof.figures import Figures, arguments
from tests.proof.places import (
    ROOT,
    Trouble,
    free_port,
    now_s,
    pause,
    query,
    say,
    wait_for,
    workplace,
)
from tests.proof.postgres import Postgres
from tests.proof.replica import LADDER, PEOPLE, Replica, deploy
from tests.proof.sender import Accepted, Sending, send
from tests.proof.sink import Call, Sink

__all__ = [
    "LADDER",
    "PEOPLE",
    "ROOT",
    "Accepted",
    "Call",
    "Figures",
    "Postgres",
    "Replica",
    "Sending",
    "Sink",
    "Trouble",
    "arguments",
    "deploy",
    "free_port",
    "now_s",
    "pause",
    "query",
    "say",
    "send",
    "wait_for",
    "workplace",
]
