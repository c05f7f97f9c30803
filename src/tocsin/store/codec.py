r"""Core types to bytes and back, and what PostgreSQL can hold of text that came from anywhere.

The bytes in ``bytea`` keep everything, even ``\u0000`` and halves of surrogate pairs, which
PostgreSQL refuses in text. Text columns are a view of those bytes, made safe here.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Hashable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec

_T = TypeVar("_T")
_encode = msgspec.json.Encoder().encode
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_KEY_BYTES_MAX = 1_000  # An entry of a B-tree index holds at most 2,704 bytes, for all its columns.
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def encode(value: object) -> bytes:
    """Return a core type as JSON. Halves of surrogate pairs become escapes and survive."""
    try:
        return _encode(value)
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(value), separators=(",", ":")).encode("ascii")


def decode(body: bytes, kind: type[_T]) -> _T:
    """Return what ``encode`` was given. Raises msgspec.DecodeError where the bytes do not fit."""
    try:
        return cast("_T", _decoder(cast("Hashable", kind)).decode(body))
    except msgspec.ValidationError:
        raise
    except (msgspec.DecodeError, UnicodeDecodeError):
        # msgspec refuses halves of surrogate pairs, which json reads.
        try:
            return msgspec.convert(json.loads(body), type=kind)
        except ValueError as error:
            raise msgspec.DecodeError(str(error)) from error


@lru_cache(maxsize=256)
def _decoder(kind: Hashable) -> msgspec.json.Decoder[Any]:
    """Return the decoder of a type, made once: a union is taken apart anew each time it is named."""
    return msgspec.json.Decoder(kind)


def text(value: str) -> str:
    """Return the text as a column can hold it: what cannot be stored shows as U+FFFD."""
    if value.isascii() and "\0" not in value:
        return value
    return _UNSTORABLE.sub("\ufffd", value)


def key(value: str) -> str:
    """Return the text as an indexed column can hold it: storable, and at most 1,000 bytes.

    Longer ones keep their beginning and end in a hash, so that different keys stay different.
    A key of a key is itself.
    """
    safe = text(value)
    if len(safe) <= _KEY_BYTES_MAX // 4:
        return safe
    raw = safe.encode()
    if len(raw) <= _KEY_BYTES_MAX:
        return safe
    digest = hashlib.sha256(raw).hexdigest()
    return raw[: _KEY_BYTES_MAX - 80].decode(errors="ignore") + "~" + digest


def moment(value: datetime) -> datetime:
    """Return the instant in UTC; what UTC cannot say (year 0, year 10000) becomes its nearest."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        return _EARLIEST if value.year == 1 else _LATEST
