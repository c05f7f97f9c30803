"""Reading JSON so that one bad member does not lose its siblings.

The fast way is msgspec. What it refuses as a whole (NaN, lone surrogates, a hundred thousand
brackets) is cut into members here, by counting brackets outside of strings, and each member is
then judged by itself. Nothing here recurses, and every byte is looked at once.
"""

from __future__ import annotations

import re

import msgspec

from tocsin.integrations.signals import NotJson

MEMBERS_MAX = 50_000
"""More cannot be meant: as many of the shortest alerts that say something fill a body."""

_RAW_MEMBERS = msgspec.json.Decoder(list[msgspec.Raw])
_SPACE = re.compile(rb"[ \t\r\n]*")
_LANDMARK = re.compile(rb'["\[\]{},]')
# Possessive: an unterminated string of a megabyte fails after one pass.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_SHOWN_BYTES_MAX = 24


def split_members(body: bytes, noun: str) -> list[bytes]:
    """Return the bytes of each member of the array that is ``body``, readable or not.

    ``noun`` says in a refusal what the array should have held ("alerts"). Raises NotJson where the
    body is no array, its brackets and quotes leave open where a member ends, or it has more than
    ``MEMBERS_MAX`` members.
    """
    try:
        members = _RAW_MEMBERS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _cut(body, noun)
    if len(members) > MEMBERS_MAX:
        raise NotJson(_too_many(noun))
    return [bytes(raw) for raw in members]


def why_unreadable(error: Exception, raw: bytes) -> str:
    """Return the sentence that explains why a member could not be decoded."""
    if isinstance(error, RecursionError):
        return "It is nested too deeply to be read."
    if isinstance(error, UnicodeDecodeError):
        return f"It is not valid UTF-8 at byte {error.start} of a string."
    if isinstance(error, msgspec.ValidationError):
        return f"It has the wrong shape: {str(error)[:300]}."
    if not raw.strip():
        return "There is nothing between two commas."
    if _SURROGATE.search(raw):
        return "It holds half of a surrogate pair, which is no character."
    what = str(error).removeprefix("JSON is malformed: ")[:300]
    return f"It is not JSON: {what}."


def holds_nul(raw: bytes) -> bool:
    """Say whether the JSON could hold the character U+0000, which PostgreSQL cannot store."""
    return b"\\u0000" in raw


def show(raw: bytes) -> str:
    """Return the first bytes as printable ASCII in quotes, for a message."""
    tail = "..." if len(raw) > _SHOWN_BYTES_MAX else ""
    return ascii(raw[:_SHOWN_BYTES_MAX])[1:] + tail


def _cut(body: bytes, noun: str) -> list[bytes]:
    start = _skip_space(body, 0)
    if start == len(body):
        raise NotJson(f"byte {start}: the body is empty where a JSON array of {noun} was expected")
    if body[start : start + 1] != b"[":
        raise NotJson(
            f"byte {start}: expected [ that begins an array of {noun}, found {show(body[start:])}"
        )
    members: list[bytes] = []
    at = start + 1
    while True:
        end = _end_of_member(body, at)
        if len(members) == MEMBERS_MAX:
            raise NotJson(_too_many(noun))
        members.append(body[at:end].strip())
        at = end + 1
        if body[end : end + 1] == b"]":
            break
    if members == [b""]:
        members.clear()
    rest = _skip_space(body, at)
    if rest != len(body):
        raise NotJson(f"byte {rest}: the array is over, but {show(body[rest:])} follows")
    return members


def _too_many(noun: str) -> str:
    return f"it holds more than {MEMBERS_MAX:,} members, which cannot all be {noun}"


def _end_of_member(body: bytes, at: int) -> int:
    """Return where the comma or bracket stands that ends the member which begins at ``at``."""
    depth = 0
    while landmark := _LANDMARK.search(body, at):
        at = landmark.end()
        mark = landmark.group()
        if mark == b'"':
            string = _STRING.match(body, landmark.start())
            if string is None:
                raise NotJson(f"byte {landmark.start()}: a string begins here and never ends")
            at = string.end()
        elif mark in b"[{":
            depth += 1
        elif depth == 0 and mark in b",]":
            return landmark.start()
        elif depth == 0:
            raise NotJson(f"byte {landmark.start()}: }} closes what was never opened")
        elif mark in b"]}":
            depth -= 1
    raise NotJson(f"byte {len(body)}: the body ends before its array does")


def _skip_space(body: bytes, at: int) -> int:
    space = _SPACE.match(body, at)
    assert space is not None  # it may be empty
    return space.end()
