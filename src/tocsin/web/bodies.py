"""Reading what was sent, and answering in JSON.

Bodies are decoded here rather than by FastAPI, which would read them before it asks who calls.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, TypeVar

import msgspec
from fastapi import Request, Response
from starlette.requests import ClientDisconnect

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


async def read_body(
    request: Request, *, within_s: float = BODY_WITHIN_S, bytes_max: int = BODY_BYTES_MAX
) -> bytes:
    """Return the whole body.

    Raises Problem 408 for a sender that is too slow, 413 for a body that is too long, 415 for a
    compressed one, and 400, which nobody hears, for a sender that hangs up in the middle.
    """
    encodings = request.headers.getlist("content-encoding")
    if any(encoding.strip().lower() not in ("", "identity") for encoding in encodings):
        raise Problem(415, "A compressed body is not read here.", "Send it as it is.")
    parts = []
    left = bytes_max
    try:
        async with asyncio.timeout(within_s):
            async for part in request.stream():
                left -= len(part)
                if left < 0:
                    raise too_long(bytes_max)
                parts.append(part)
    except ClientDisconnect as error:
        raise Problem(400, "The sender hung up before the end of the body.") from error
    except TimeoutError as error:
        raise Problem(
            408,
            f"The body did not arrive within {within_s:g} s.",
            headers={"Connection": "close"},
        ) from error
    return b"".join(parts)


def too_long(bytes_max: int) -> Problem:
    """Return the refusal of a long body. It hangs up: the rest would be read as a request."""
    return Problem(
        413,
        f"The body is larger than {bytes_max:,} bytes.",
        "Send it in smaller parts.",
        {"Connection": "close"},
    )


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
