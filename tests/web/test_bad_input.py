"""Whatever is sent: never a 5xx, the siblings are kept, and text comes back as it went in."""

from __future__ import annotations

import asyncio
import json
import unicodedata

import pytest
from starlette.requests import Request

from tests.integrations.badinput import NEEDS_BAD_INPUT, json_fragments, naughty_strings
from tests.web.site import Site, eventually
from tocsin.web.bodies import read_body
from tocsin.web.errors import Problem

pytestmark = pytest.mark.anyio

GOOD = b'{"labels":{"alertname":"Good","service":"api"}}'
POISON = [
    b"[" * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b"[NaN]",
    b'["\\ud800"]',
    b'[{"labels":{"a":"\\u0000"}}]',
    b'[{"labels":{"a":"\\ud800"}}]',
    b'[{"labels":{"a":' + b"9" * 5_000 + b"}}]",
    b'[{"labels":{"a":"b","a":"c"}}]',
    b'[{"labels":{"a":"' + b"x" * 900_000 + b'"}}]',
    b'[{"labels":{"a":"b"},"startsAt":"9999-12-31T23:59:59-23:59"}]',
    b'[{"labels":{"a":"b"},"startsAt":"0000-00-00T00:00:00Z"}]',
    b"[null]",
    b"[[]]",
    b"[1e400]",
    b"\xef\xbb\xbf[]",
    "[]".encode("utf-16"),
]


async def test_no_body_breaks_the_receivers(site: Site) -> None:
    for body in [*POISON, *json_fragments().values()]:
        for path in ("/api/v2/alerts", "/api/v2/silences", "/api/v1/incidents", "/api/v1/reports"):
            answer = await site.ask("POST", path, content=body)
            assert answer.status_code < 500, (path, body[:80], answer.text)
            assert answer.status_code not in (401, 403, 404, 405)


async def test_no_member_takes_its_siblings_along(site: Site) -> None:
    for number, member in enumerate(
        [
            b'{"labels":{"a":"\\u0000"}}',
            b'{"labels":{"a":"\\ud800"}}',
            b'{"labels":{"a":NaN}}',
            b'{"labels":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
            b'{"labels":{"a":' + b"9" * 5_000 + b"}}",
        ]
    ):
        good = GOOD.replace(b"Good", f"Good{number}".encode())
        body = b"[" + member + b"," + good + b"]"
        answer = await site.ask("POST", "/api/v2/alerts", "ingest", content=body)
        assert answer.status_code == 200, (member[:40], answer.text)

    async def all_there() -> bool:
        return len((await site.ask("GET", "/api/v2/alerts")).json()) == 5

    await eventually(all_there)


@NEEDS_BAD_INPUT
async def test_naughty_strings_come_back_as_they_went_in(site: Site) -> None:
    made = await site.ask("POST", "/api/v1/incidents", json={"title": "x", "service": "x"})
    path = f"/api/v1/incidents/{made.json()['id']}"
    sent = [text for text in naughty_strings() if text.strip() and "\0" not in text]
    assert len(sent) > 400
    for text in sent:
        # Escaped on the way, as a sender without UTF-8 would.
        answer = await site.ask("POST", f"{path}/notes", content=json.dumps({"text": text}))
        assert answer.status_code == 200, (text, answer.text)
    told = (await site.ask("GET", f"{path}/timeline")).json()["timeline"]
    words = [entry["words"] for entry in told if entry["event"] == "NoteAdded"]
    assert words == [text.strip() for text in sent]


@NEEDS_BAD_INPUT
async def test_naughty_strings_in_addresses_find_nothing_and_break_nothing(site: Site) -> None:
    for text in naughty_strings():
        if not text or unicodedata.normalize("NFC", text) in (".", ".."):
            continue
        answer = await site.ask("GET", "/api/v1/incidents", params={"service": text})
        assert answer.status_code in (200, 422), text
        answer = await site.ask("GET", "/api/v2/alerts", params={"filter": text})
        assert answer.status_code in (200, 400), text


async def test_a_body_that_trickles_is_given_up_on() -> None:
    async def trickle() -> dict[str, object]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": True}

    request = Request({"type": "http", "headers": []}, trickle)
    with pytest.raises(Problem, match="408"):
        await read_body(request, within_s=0.1)
