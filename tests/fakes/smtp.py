"""A mail server on this machine that keeps what it is given: aiosmtpd in a thread of its own.

    with FakeSmtp() as smtp:                       # or FakeSmtp(login=("tocsin", "pw"))
        settings: [email] host = "127.0.0.1", port = smtp.port, tls = "none"
        smtp.refuse(550, "no such user", times=1)  # answers RCPT so; 4xx means later
        smtp.refuse(451, "later", times=2, only_to="priya@team.test")
        smtp.slow(3.0)                             # takes so long to take each mail from now on
        [mail] = smtp.wait_for(1)
        mail.recipients, mail.subject, mail.text, mail.headers["Message-ID"]

``starttls`` or ``tls`` take an ssl.SSLContext with a certificate. With ``login`` nobody may send
without it.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as policy
from types import TracebackType
from typing import Any, Self

import msgspec
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from tests.fakes.waiting import wait_for_all


class ReceivedMail(msgspec.Struct, frozen=True):
    """One mail that was taken."""

    sender: str
    recipients: tuple[str, ...]
    headers: EmailMessage
    raw: bytes

    @property
    def subject(self) -> str:
        return str(self.headers["Subject"])

    @property
    def text(self) -> str:
        """Return the plain text."""
        body = self.headers.get_body(("plain",))
        return "" if body is None else str(body.get_content()).replace("\r\n", "\n")


class FakeSmtp:
    """See the module."""

    def __init__(
        self,
        *,
        login: tuple[str, str] | None = None,
        starttls: ssl.SSLContext | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.port = 0
        self.mails: list[ReceivedMail] = []
        self.attempts = 0
        self._login = login
        self._starttls = starttls
        self._tls = tls
        self._refusals: list[tuple[str, str]] = []
        self._slow_s = 0.0
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def refuse(self, code: int, words: str = "no", *, times: int = 1, only_to: str = "") -> None:
        """Answer the next ``times`` recipients (or only one of them) with a code."""
        self._refusals += [(f"{code} {words}", only_to)] * times

    def slow(self, seconds: float) -> None:
        """Take so long before each mail is taken from now on; 0 is fast again."""
        self._slow_s = seconds

    def wait_for(self, count: int, timeout_s: float = 10.0) -> list[ReceivedMail]:
        """Return all mails once there are so many; fail after a while."""
        return wait_for_all(self._changed, self.mails, count, timeout_s, "mails")

    def to(self, address: str) -> list[ReceivedMail]:
        """Return what one address was sent, in order."""
        return [mail for mail in self.mails if address in mail.recipients]

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10), "the mail server did not start"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)

    # -- What aiosmtpd calls -----------------------------------------------------------------------

    async def handle_MAIL(  # noqa: N802 - the name aiosmtpd looks for
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        # aiosmtpd can ask for a login itself, but warns when that is without TLS.
        if self._login is not None and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        self.attempts += 1
        for index, (answer, only_to) in enumerate(self._refusals):
            if only_to in ("", address):
                del self._refusals[index]
                return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self._slow_s:
            await asyncio.sleep(self._slow_s)
        message = message_from_bytes(envelope.content, policy=policy)
        assert isinstance(message, EmailMessage)
        mail = ReceivedMail(envelope.mail_from, tuple(envelope.rcpt_tos), message, envelope.content)
        with self._changed:
            self.mails.append(mail)
            self._changed.notify_all()
        return "250 taken"

    def _authenticate(
        self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any
    ) -> AuthResult:
        assert self._login is not None
        given = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode())
        return AuthResult(success=given == self._login, handled=False)

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await self._loop.create_server(self._protocol, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()

    def _protocol(self) -> SMTP:
        return SMTP(
            self,
            hostname="mail.test",
            loop=self._loop,
            tls_context=self._starttls,
            require_starttls=self._starttls is not None,
            authenticator=self._authenticate if self._login else None,
            auth_require_tls=False,
        )
