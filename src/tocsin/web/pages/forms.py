"""What browsers send with a form: few short fields, read here so that no field goes unbounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from tocsin.web.admission import tolerated
from tocsin.web.bodies import read_body
from tocsin.web.errors import Problem

if TYPE_CHECKING:
    from fastapi import Request

_FORM_BYTES_MAX: Final = 65_536
_FIELDS_MAX: Final = 20


async def read_form(request: Request) -> dict[str, str]:
    """Return the fields of a form, stripped at both ends; of a field given twice, the last.

    Raises Problem 413, 415 or 422 for what no form of ours sends.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("", "application/x-www-form-urlencoded"):
        raise Problem(415, "This is not a form of ours.")
    async with tolerated(request):
        body = await read_body(request, bytes_max=_FORM_BYTES_MAX)
    try:
        text = body.decode("utf-8")
        fields = parse_qsl(
            text,
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_FIELDS_MAX,
        )
    except ValueError as error:
        raise Problem(422, "The form cannot be read.") from error
    if any("\0" in value for _, value in fields):
        raise Problem(422, "The form holds the character U+0000, which is no text.")
    return {name: value.strip() for name, value in fields}


def one_line(text: str, characters_max: int) -> str:
    """Return text on one line, without control characters, cut to a length."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:characters_max]
