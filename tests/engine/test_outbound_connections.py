"""HTTP over connections that are kept: used again, not trusted for ever, never shared by mistake."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tocsin.engine.outbound import RESPONSE_BYTES_MAX, GuardedClient
from tocsin.integrations.wire import HttpRequest, Refused, Retry

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request):
    """Both loops: the one of the tests, and the one that serves."""
    return "asyncio", {"use_uvloop": request.param}


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers each request by ``script``: what to say, or None to hang up without a word."""

    def __init__(self, *script: bytes | None) -> None:
        self.script = list(script)
        self.connections = 0
        self.requests: list[bytes] = []
        self.open: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                said = self.script.pop(0) if self.script else OK
                if said is None:
                    break
                writer.write(said)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def a_place(*script):
    server = Server(*script)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"

    async with GuardedClient(["127.0.0.1"], deadline_s=3) as client:

        async def post(body: bytes = b"{}", *headers: tuple[str, str]):
            return await client.perform(HttpRequest("POST", url, headers, body))

        async with listening:
            yield server, post
            for writer in server.open:
                writer.close()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()


async def test_one_connection_serves_requests_one_after_another():
    async with a_place() as (server, post):
        for number in range(5):
            answer = await post(b"%d" % number)
            assert (answer.status, answer.body) == (200, b"ok")
        assert server.connections == 1
        assert [request.rpartition(b"\r\n\r\n")[2] for request in server.requests] == [
            b"0", b"1", b"2", b"3", b"4",
        ]  # fmt: skip


async def test_requests_at_once_have_a_connection_each():
    async with a_place() as (server, post):
        answers = await asyncio.gather(*(post() for _ in range(8)))
        assert {answer.status for answer in answers} == {200}
        assert server.connections == 8


async def test_a_kept_connection_that_was_closed_meanwhile_costs_nothing():
    async with a_place() as (server, post):
        await post()
        server.open[0].close()
        await asyncio.sleep(0.05)
        assert (await post()).status == 200
        assert server.connections == 2


async def test_a_kept_connection_that_hangs_up_on_the_request_is_tried_on_another():
    async with a_place(OK, None) as (server, post):
        await post()
        assert (await post()).status == 200
        assert (server.connections, len(server.requests)) == (2, 3)


async def test_a_new_connection_that_hangs_up_is_a_failure():
    async with a_place(None, None) as (_, post):
        assert isinstance(await post(), Retry)


async def test_a_kept_connection_that_breaks_in_the_middle_of_an_answer_is_a_failure():
    async with a_place(OK, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal", None) as (
        server,
        post,
    ):
        await post()
        waiting = asyncio.ensure_future(post())
        while len(server.requests) < 2:
            await asyncio.sleep(0.01)
        server.open[0].close()
        assert isinstance(await waiting, Retry)
        assert server.connections == 1


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500000\r\n\r\n" + b"x" * 500_000,
    ],
)
async def test_a_connection_that_ends_or_has_more_to_say_is_not_kept(said):
    async with a_place(said) as (server, post):
        answer = await post()
        assert answer.body in (b"ok", b"x" * RESPONSE_BYTES_MAX)
        await post()
        assert server.connections == 2


async def test_what_comes_before_an_answer_is_passed_over_and_parts_are_joined():
    said = (
        b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n"
        b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n"
        b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    )
    async with a_place(said) as (server, post):
        answer = await post()
        assert (answer.status, answer.body, answer.headers["x-a"]) == (202, b"hello", "b")
        await post()
        assert server.connections == 1


async def test_two_answers_to_one_request_are_not_taken_for_the_next():
    async with a_place(OK + OK.replace(b"200 OK", b"500 No")) as (server, post):
        assert (await post()).status == 200
        assert (await post()).status == 200
        assert server.connections == 2


async def test_a_header_without_end_is_not_read_for_ever():
    async with a_place(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000) as (_, post):
        assert isinstance(await post(), Retry)


async def test_a_request_that_cannot_be_written_reaches_nobody():
    async with a_place() as (server, post):
        assert isinstance(await post(b"", ("X-A", "b\r\nX-C: d")), Refused)
        assert server.requests == []


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\nA\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"SSH-2.0-x\r\n\r\n",
        None,
    ],
)
async def test_what_is_wrong_with_an_answer_is_said_without_the_key_in_the_address(said):
    server = Server(said, said)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/services/T0/SECRET?x=SECRET"
    async with listening, GuardedClient(["127.0.0.1"], deadline_s=3) as client:
        outcome = await client.perform(HttpRequest("POST", url, (), b"{}"))
        for writer in server.open:
            writer.close()
    assert isinstance(outcome, Retry)
    assert "SECRET" not in outcome.detail
    assert "cannot be reached: " in outcome.detail or "No answer from" in outcome.detail
