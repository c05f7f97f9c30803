"""Acknowledgement links: a page carries a link that acknowledges just that page, without sign-in.

A token is ``<what>.<proof>``: the incident and page it is for, the minute it was made in, and an
HMAC-SHA256 over them, both in URL-safe base64. Nothing is stored; whoever holds the server's secret
can read every token it made. A link works for two weeks, and says so when it is from before its
incident was reopened.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

ACK_LINK_LASTS: Final = timedelta(days=14)
_PURPOSE = b"tocsin acknowledgement 2\n"
# The clocks of two machines may differ; a link is only called old where that cannot be why.
_CLOCKS_DIFFER_BY = timedelta(minutes=5)
_TOKEN_CHARACTERS_MAX = 2048


class AckLink(msgspec.Struct, frozen=True):
    """What a link is for, and the minute it was made in."""

    incident: str
    page: str
    made_at: datetime

    def is_over(self, at: datetime) -> bool:
        """Say whether the link is too old to do anything."""
        return at - self.made_at > ACK_LINK_LASTS

    def is_before(self, started_at: datetime | None) -> bool:
        """Say whether it was surely made before an incident's clocks last started."""
        return started_at is not None and self.made_at + _CLOCKS_DIFFER_BY < started_at


class Signer:
    """Makes and reads signed tokens with one secret of at least 16 bytes."""

    def __init__(self, secret: bytes) -> None:
        assert len(secret) >= 16, "a short secret can be guessed"
        self._secret = secret

    def __repr__(self) -> str:
        return "Signer(***)"

    def renew(self, secret: bytes) -> None:
        """Sign and read with another secret from now on: a restored database has its own."""
        assert len(secret) >= 16, "a short secret can be guessed"
        self._secret = secret

    def ack_token(self, incident: str, page: str, at: datetime) -> str:
        """Return the token that acknowledges ``page`` of ``incident``; the same within a minute."""
        what = msgspec.json.encode([incident, page, int(at.timestamp()) // 60])
        return f"{_text(what)}.{_text(self._proof(what))}"

    def read_ack(self, token: str) -> AckLink | None:
        """Return what a token is for, or None if we did not make it."""
        if len(token) > _TOKEN_CHARACTERS_MAX:
            return None
        said, dot, proved = token.partition(".")
        what, proof = _bytes(said), _bytes(proved)
        if not dot or what is None or proof is None:
            return None
        if not hmac.compare_digest(self._proof(what), proof):
            return None
        incident, page, minute = msgspec.json.decode(what, type=tuple[str, str, int])
        return AckLink(incident, page, datetime.fromtimestamp(minute * 60, UTC))

    def _proof(self, what: bytes) -> bytes:
        return hmac.new(self._secret, _PURPOSE + what, hashlib.sha256).digest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes | None:
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return None
