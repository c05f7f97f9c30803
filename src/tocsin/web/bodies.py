"""Reading what was sent, and answering in JSON.

Bodies are decoded here rather than by FastAPI, which would read them before it asks who calls.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

import msgspec
from fastapi import Request, Response

from tocsin.web.errors import Problem

BODY_BYTES_MAX: Final = 1_048_576
BODY_WITHIN_S: Final = 20.0

_Shape = TypeVar("_Shape")


class Json(Response):
    """An answer in JSON, encoded by msgspec."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """Return the encoded content."""
        return msgspec.json.encode(content)


async def read_body(request: Request, *, within_s: float = BODY_WITHIN_S) -> bytes:
    """Return the whole body. Its size is capped by ``wrapping.BodyCap``, its time here.

    Raises Problem 408 for a sender that is too slow, 415 for a compressed body.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "A compressed body is not read here.", "Send it as it is.")
    try:
        async with asyncio.timeout(within_s):
            return await request.body()
    except TimeoutError as error:
        raise Problem(408, f"The body did not arrive within {within_s:g} s.") from error


async def read_shape(request: Request, shape: type[_Shape]) -> _Shape:
    """Return the body as ``shape``; an empty body counts as ``{}``.

    Raises Problem 400 for what is not JSON, 422 for what is not this shape, each in one sentence.
    """
    body = await read_body(request)
    try:
        found = msgspec.json.decode(body.strip() or b"{}", type=shape)
    except msgspec.ValidationError as error:
        raise Problem(422, f"{str(error).rstrip('.')}.", _fields(shape)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Problem(400, f"The body is not JSON: {str(error).rstrip('.')}.") from error
    if b"\\u0000" in body:
        _refuse_nul(found)
    return found


def _refuse_nul(found: Any) -> None:
    for name in found.__struct_fields__:
        value = getattr(found, name)
        if isinstance(value, str) and "\0" in value:
            raise Problem(422, f"{name} holds the character U+0000, which is no text.")


def _fields(shape: Any) -> str:
    names = ", ".join(f'"{field.encode_name}"' for field in msgspec.structs.fields(shape))
    return f"It may have: {names}." if names else "It has no fields."
