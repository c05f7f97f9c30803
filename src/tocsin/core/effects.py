"""What we ask for. The shell performs effects; it never decides one.

Timers are not effects of their own: ``timers.timers_of(state)`` says which must exist, and the
store makes it so in the same transaction.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from tocsin.base.source import Source
from tocsin.core.inputs import DeskInput, IncidentInput
from tocsin.core.surroundings import Contact


class Topic(StrEnum):
    """What a message is about; channels choose their words and colours by it."""

    PAGE = "page"
    OPENED = "opened"
    REGRADED = "regraded"
    REOPENED = "reopened"
    RESOLVED = "resolved"
    NOTICE = "notice"
    TEST = "test"


class Message(msgspec.Struct, frozen=True):
    """What is said, free of any channel's syntax. All text is plain and untrusted.

    ``headline`` is one line; ``lines`` follow it. ``source`` is the runbook line that asked for the
    message. Links are added when the message is sent, since only the shell knows its own address.
    ``external`` messages go to customers: they say ``headline`` and ``lines`` and nothing of ours,
    no severity, no service, no runbook, no link to a room.
    """

    topic: Topic
    incident: str
    headline: str
    severity: str
    rank: int
    service: str
    lines: tuple[str, ...] = ()
    source: Source | None = None
    external: bool = False


class SendPage(msgspec.Struct, frozen=True, tag=True):
    """Ask one person, by one contact, to acknowledge. ``contact`` None: in-app inbox only."""

    delivery: str
    page: str
    person: str
    name: str
    contact: Contact | None
    message: Message


class SendNotice(msgspec.Struct, frozen=True, tag=True):
    """Tell one channel."""

    delivery: str
    contact: Contact
    message: Message


class TellIncident(msgspec.Struct, frozen=True, tag=True):
    """Write an input to an incident's stream in the same transaction."""

    incident: str
    input: IncidentInput


class TellDesk(msgspec.Struct, frozen=True, tag=True):
    """Write an input to a desk's stream in the same transaction."""

    service: str
    input: DeskInput


Effect = SendPage | SendNotice | TellIncident | TellDesk
