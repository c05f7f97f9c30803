"""Acknowledgement links: a page carries a link that acknowledges just that page, without sign-in.

A token is ``<what>.<proof>``: the incident and page it is for, and an HMAC-SHA256 over them, both in
URL-safe base64. Nothing is stored; whoever holds the server's secret can read every token it made.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

import msgspec

_PURPOSE = b"tocsin acknowledgement 1\n"
_TOKEN_CHARACTERS_MAX = 2048


class Signer:
    """Makes and reads signed tokens with one secret of at least 16 bytes."""

    def __init__(self, secret: bytes) -> None:
        assert len(secret) >= 16, "a short secret can be guessed"
        self._secret = secret

    def __repr__(self) -> str:
        return "Signer(***)"

    def ack_token(self, incident: str, page: str) -> str:
        """Return the token that acknowledges ``page`` of ``incident``; the same each time."""
        what = msgspec.json.encode([incident, page])
        return f"{_text(what)}.{_text(self._proof(what))}"

    def read_ack(self, token: str) -> tuple[str, str] | None:
        """Return the incident and page that a token is for, or None if we did not make it."""
        if len(token) > _TOKEN_CHARACTERS_MAX:
            return None
        said, dot, proved = token.partition(".")
        what, proof = _bytes(said), _bytes(proved)
        if not dot or what is None or proof is None:
            return None
        if not hmac.compare_digest(self._proof(what), proof):
            return None
        incident, page = msgspec.json.decode(what, type=tuple[str, str])
        return incident, page

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
