"""What a receiver makes of one body: the signals it holds, and the members it could not read."""

from __future__ import annotations

import msgspec

from tocsin.core.inputs import Signal


class NotJson(Exception):  # noqa: N818 - it names what the body is, and web answers 400 with it
    """The body as a whole is not what was announced: byte <where>: <what stands there instead>."""


class Rejected(msgspec.Struct, frozen=True):
    """One member that could not be read: its bytes as they came, and why, in a sentence."""

    raw: bytes
    why: str


class Received(msgspec.Struct, frozen=True):
    """Everything one request brought, in its order. Both tuples may be empty.

    ``source`` names the integration, ``key`` the credential that sent it (its name, not the secret).
    """

    signals: tuple[Signal, ...]
    rejected: tuple[Rejected, ...]
    source: str
    key: str
