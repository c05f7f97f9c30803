from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from datetime import UTC, datetime

import pytest
import trustme

from tests.fakes.http import Answer, LocalServer
from tests.fakes.smtp import FakeSmtp
from tocsin.engine.outbound import (
    RESPONSE_BYTES_MAX,
    AllowList,
    GuardedClient,
    SmtpServer,
    send_mail,
)
from tocsin.integrations.wire import (
    Delivered,
    HttpRequest,
    HttpResponse,
    Mail,
    Refused,
    Retry,
    Secret,
)

pytestmark = pytest.mark.anyio
AT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)


def post(url: str, *headers: tuple[str, str]) -> HttpRequest:
    return HttpRequest("POST", url, headers, b"{}")


def answers(*addresses: str):
    """Return a resolver that gives these addresses for every name, and counts how often."""

    async def resolve(host: str, port: int) -> list[str]:
        resolve.asked.append(host)
        return list(addresses)

    resolve.asked = []
    return resolve


class Trap:
    """A listener on this machine that must never be called: it counts connections."""

    def __enter__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(0.2)
        self.port = self.socket.getsockname()[1]
        return self

    def __exit__(self, *_):
        self.socket.close()

    def was_called(self) -> bool:
        try:
            self.socket.accept()
        except TimeoutError:
            return False
        return True


FORBIDDEN = [
    "169.254.169.254",
    "fd00:ec2::254",
    "100.100.100.200",
    "100.64.0.1",
    "192.0.0.192",
    "3fff::1",
    "::ffff:0:7f00:1",
    "192.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::a00:1",
    "2002:a9fe:a9fe::",
    "2001:0:53aa:64c::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "::1",
    "::",
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "127.0.0.1",
    "127.255.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "168.63.129.16",
    "198.18.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "224.0.0.1",
    "ff02::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fc00::1",
    "not an address",
]


@pytest.mark.parametrize("address", FORBIDDEN)
async def test_what_only_this_machine_can_reach_is_forbidden(address):
    assert AllowList([]).why_forbidden(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
async def test_the_public_internet_is_not_forbidden(address):
    assert AllowList([]).why_forbidden(address) == ""


@pytest.mark.parametrize("address", FORBIDDEN[:-1])
async def test_a_name_that_leads_to_a_forbidden_address_is_refused_at_connect(address):
    async with GuardedClient(resolve=answers("8.8.8.8", address)) as client:
        outcome = await client.perform(post("http://innocent.test/"))
    assert isinstance(outcome, Refused)
    assert "[outbound] allow" in outcome.detail
    assert address in outcome.detail


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "0177.0.0.1",
        "2130706433",
        "127.1",
        "0x7f000001",
        "0x7f.1",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "0.0.0.0",  # noqa: S104
        "localhost",
        "LOCALHOST",
        "\uff11\uff12\uff17.0.0.1",
        "user:pw@127.0.0.1",
        "8.8.8.8@127.0.0.1",
        "127.0.0.1#@8.8.8.8",
        "127.0.0.1\\@8.8.8.8",
    ],
)
async def test_no_spelling_of_this_machine_is_called(host):
    with Trap() as trap:
        async with GuardedClient(deadline_s=2) as client:
            before, hash_, after = host.partition("#")
            url = f"http://{before}:{trap.port}/{hash_}{after}"
            outcome = await client.perform(post(url))
        assert isinstance(outcome, Refused), outcome
        assert not trap.was_called()


async def test_a_name_is_resolved_once_and_the_checked_address_is_called():
    looked_up = []

    async def rebinding(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"] if len(looked_up) == 1 else ["127.0.0.2"]

    with LocalServer(lambda _: Answer(200, b"ok", {"Connection": "close"})) as server:
        async with GuardedClient(["127.0.0.1"], resolve=rebinding) as client:
            url = f"http://rebind.test:{server.port}/"
            assert isinstance(await client.perform(post(url)), HttpResponse)
            assert looked_up == ["rebind.test"]
            assert server.received[0].headers["host"] == f"rebind.test:{server.port}"
            second = await client.perform(post(url))
    assert isinstance(second, Refused)
    assert "127.0.0.2" in second.detail
    assert len(server.received) == 1


async def test_a_redirect_is_an_answer_and_is_not_followed():
    with Trap() as trap:
        target = {"Location": f"http://127.0.0.1:{trap.port}/"}
        with LocalServer(lambda _: Answer(302, b"", target)) as server:
            async with GuardedClient(["127.0.0.1"]) as client:
                outcome = await client.perform(post(server.url))
        assert isinstance(outcome, HttpResponse)
        assert outcome.status == 302
        assert not trap.was_called()


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://8.8.8.8/", "gopher://8.8.8.8/", "http://", "http:///x", "x", "",
     "http://[::1", "http://a b/", "unix:/run/docker.sock", "http://\x00/"],
)  # fmt: skip
async def test_what_is_no_web_address_is_refused(url):
    async with GuardedClient() as client:
        assert isinstance(await client.perform(post(url)), Refused)


@pytest.mark.parametrize("allow", ["127.0.0.1", "127.0.0.0/8", "hook.test", "HOOK.test."])
async def test_what_the_settings_allow_is_called(allow):
    with LocalServer(lambda _: Answer(201, b"hello", {"X-Y": "z"})) as server:
        async with GuardedClient([allow], resolve=answers("127.0.0.1")) as client:
            url = f"http://hook.test:{server.port}/a?b=c"
            outcome = await client.perform(post(url, ("Content-Type", "text/plain")))
    assert isinstance(outcome, HttpResponse)
    assert (outcome.status, outcome.body, outcome.headers["x-y"]) == (201, b"hello", "z")
    (request,) = server.received
    assert (request.method, request.path, request.body) == ("POST", "/a?b=c", b"{}")
    assert request.headers["content-type"] == "text/plain"
    assert request.headers["user-agent"] == "Tocsin"


async def test_allowing_one_address_allows_no_other():
    async with GuardedClient(["127.0.0.1", "10.0.0.0/24"], resolve=answers("10.0.1.1")) as client:
        assert isinstance(await client.perform(post("http://hook.test/")), Refused)


async def test_an_answer_is_cut_at_its_limit():
    with LocalServer(lambda _: Answer(200, b"x" * 3_000_000)) as server:
        async with GuardedClient(["127.0.0.1"]) as client:
            outcome = await client.perform(post(server.url))
    assert isinstance(outcome, HttpResponse)
    assert len(outcome.body) == RESPONSE_BYTES_MAX


async def test_a_slow_answer_ends_at_the_deadline():
    with LocalServer(lambda _: Answer(delay_s=5)) as server:
        async with GuardedClient(["127.0.0.1"], deadline_s=0.3) as client:
            outcome = await client.perform(post(server.url))
    assert outcome == Retry(None, f"No answer from {server.url} within 0.3 s.")


async def test_an_answer_that_drips_ends_at_the_deadline():
    stop = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
            while not stop.wait(0.05):
                try:
                    connection.sendall(b"x")
                except OSError:
                    return

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        async with GuardedClient(["127.0.0.1"], deadline_s=0.4) as client:
            port = listener.getsockname()[1]
            outcome = await client.perform(post(f"http://127.0.0.1:{port}/"))
        stop.set()
        thread.join()
    assert isinstance(outcome, Retry)


async def test_nobody_there_and_nonsense_there_are_worth_another_try():
    with Trap() as trap:
        port = trap.port
    async with GuardedClient(["127.0.0.1"], deadline_s=2) as client:
        outcome = await client.perform(post(f"http://127.0.0.1:{port}/secret-token"))
        assert isinstance(outcome, Retry)
        assert "secret-token" not in outcome.detail

        with FakeSmtp() as smtp:
            outcome = await client.perform(post(f"http://127.0.0.1:{smtp.port}/"))
        assert isinstance(outcome, Retry)


async def test_an_unknown_name_is_worth_another_try():
    async def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with GuardedClient(resolve=unknown) as client:
        outcome = await client.perform(post("http://nobody.test/"))
    assert isinstance(outcome, Retry)
    assert "the name is not found" in outcome.detail


async def test_a_header_with_a_line_break_is_refused():
    with LocalServer(lambda _: Answer()) as server:
        async with GuardedClient(["127.0.0.1"]) as client:
            outcome = await client.perform(post(server.url, ("X-A", "b\r\nX-C: d")))
    assert isinstance(outcome, Refused)
    assert server.received == []


async def test_cookies_are_not_kept():
    with LocalServer(lambda _: Answer(headers={"Set-Cookie": "a=b; Path=/"})) as server:
        async with GuardedClient(["127.0.0.1"]) as client:
            await client.perform(post(server.url))
            await client.perform(post(server.url))
    assert "cookie" not in server.received[1].headers


async def test_tls_verifies_the_name_and_not_the_address():
    authority = trustme.CA()
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("hook.test").configure_cert(server_context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        GuardedClient(["127.0.0.1"], resolve=answers("127.0.0.1"), tls=trusting) as client,
    ):
        good = await client.perform(post(f"https://hook.test:{port}/"))
        other = await client.perform(post(f"https://other.test:{port}/"))
    async with GuardedClient(["127.0.0.1"], resolve=answers("127.0.0.1")) as client:
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context)
        async with server:
            port = server.sockets[0].getsockname()[1]
            untrusted = await client.perform(post(f"https://hook.test:{port}/"))
    assert isinstance(good, HttpResponse)
    assert isinstance(other, Retry)
    assert isinstance(untrusted, Retry)
    assert "certificate" in untrusted.detail


# -- Mail ------------------------------------------------------------------------------------------

MAIL = Mail(
    sender="Tocsin <tocsin@team.test>",
    to="priya@team.test",
    subject="P0: Zahlung hängt “jetzt”",
    text="Acknowledge: https://t.test/ack/" + "x" * 300 + "\n\nP0: Zahlung hängt\n",
    headers=(("Message-ID", "<1@team.test>"), ("Importance", "high")),
)


def at(smtp: FakeSmtp, **more) -> SmtpServer:
    return SmtpServer("127.0.0.1", smtp.port, **{"tls": "none", **more})


async def test_a_mail_arrives_as_it_was_written():
    with FakeSmtp() as smtp:
        assert await send_mail(MAIL, at(smtp), AT) == Delivered()
        (mail,) = smtp.wait_for(1)
    assert (mail.sender, mail.recipients) == ("tocsin@team.test", ("priya@team.test",))
    assert mail.subject == MAIL.subject
    assert mail.text == MAIL.text
    assert mail.headers["From"] == "Tocsin <tocsin@team.test>"
    assert mail.headers["Message-ID"] == "<1@team.test>"
    assert mail.headers["Date"] == "Sun, 01 Mar 2026 02:00:00 +0000"
    assert max(len(line) for line in mail.raw.splitlines()) < 998


async def test_html_stands_beside_the_text():
    with FakeSmtp() as smtp:
        mail = Mail("a@b", "c@d", "s", "text\n", "<p>html</p>")
        assert await send_mail(mail, at(smtp), AT) == Delivered()
        (received,) = smtp.wait_for(1)
    assert received.text == "text\n"
    assert "<p>html</p>" in received.headers.get_body(("html",)).get_content()


@pytest.mark.parametrize("code", [421, 450, 451, 452])
async def test_a_server_that_says_later_is_tried_later(code):
    with FakeSmtp() as smtp:
        smtp.refuse(code, "later")
        outcome = await send_mail(MAIL, at(smtp), AT)
    assert isinstance(outcome, Retry)
    assert f"says {code} later." in outcome.detail


@pytest.mark.parametrize("code", [550, 552, 554])
async def test_a_server_that_says_no_is_believed(code):
    with FakeSmtp() as smtp:
        smtp.refuse(code, "no such user")
        outcome = await send_mail(MAIL, at(smtp), AT)
        assert smtp.mails == []
    assert isinstance(outcome, Refused)
    assert f"says {code} no such user." in outcome.detail


async def test_a_slow_mail_server_ends_at_the_deadline():
    with FakeSmtp() as smtp:
        smtp.slow(5)
        outcome = await send_mail(MAIL, at(smtp, deadline_s=0.3), AT)
    assert isinstance(outcome, Retry)
    assert "0.3 s" in outcome.detail


async def test_no_mail_server_is_worth_another_try():
    with Trap() as trap:
        port = trap.port
    outcome = await send_mail(MAIL, SmtpServer("127.0.0.1", port, tls="none"), AT)
    assert isinstance(outcome, Retry)
    assert "cannot be reached" in outcome.detail


async def test_the_login_is_used_and_a_wrong_one_says_which_setting():
    with FakeSmtp(login=("tocsin", "pw")) as smtp:
        good = at(smtp, username="tocsin", password=Secret("pw"))
        bad = at(smtp, username="tocsin", password=Secret("canary"))
        assert await send_mail(MAIL, good, AT) == Delivered()
        outcome = await send_mail(MAIL, bad, AT)
    assert isinstance(outcome, Refused)
    assert "[email] username and password" in outcome.detail
    assert "canary" not in outcome.detail + repr(bad)


@pytest.mark.parametrize("mode", ["starttls", "tls"])
async def test_mail_goes_encrypted_and_the_certificate_is_verified(mode):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with FakeSmtp(**{mode: context}) as smtp:
        assert await send_mail(MAIL, at(smtp, tls=mode), AT, tls=trusting) == Delivered()
        assert isinstance(await send_mail(MAIL, at(smtp, tls=mode), AT), Retry)
        assert len(smtp.mails) == 1


async def test_a_server_without_a_login_says_which_setting():
    with FakeSmtp() as smtp:
        outcome = await send_mail(MAIL, at(smtp, username="tocsin", password=Secret("pw")), AT)
    assert isinstance(outcome, Refused)
    assert "[email] username" in outcome.detail


async def test_starttls_is_not_quietly_left_out():
    with FakeSmtp() as smtp:
        outcome = await send_mail(MAIL, at(smtp, tls="starttls"), AT)
        assert smtp.mails == []
    assert isinstance(outcome, Refused)
    assert "[email] tls" in outcome.detail


@pytest.mark.parametrize(
    "broken",
    [
        Mail("a@b", "c@d", "s\r\nBcc: e@f", "t"),
        Mail("a@b", "c@d\r\nBcc: e@f", "s", "t"),
        Mail("a@b\r\nBcc: e@f", "c@d", "s", "t"),
        Mail("a@b", "c@d", "s", "t", headers=(("X-A", "b\nBcc: e@f"),)),
    ],
)
async def test_no_line_break_gets_into_a_header(broken):
    with FakeSmtp() as smtp:
        assert isinstance(await send_mail(broken, at(smtp), AT), Refused)
        assert smtp.mails == []
