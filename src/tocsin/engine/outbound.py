"""The only two ways out: HTTP to addresses that may be called, and mail to the operator's server.

Addresses come from settings and, one day, from people, so the client must not be talked into
calling what only this machine can reach: metadata services, databases, itself. The check happens
where the connection is made: the name is resolved once, every address it has is checked, and the
connection goes to a checked address. A name that answers differently the next time, or a redirect,
therefore gains nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP as WIRE_POLICY
from email.utils import format_datetime, parseaddr
from typing import TYPE_CHECKING, Literal, Self

import aiohttp
import aiohttp.abc
import aiosmtplib
import msgspec
import yarl

from tocsin.integrations.wire import (
    Delivered,
    HttpResponse,
    Refused,
    Retry,
    Secret,
    origin_of,
)
from tocsin.integrations.wording import one_line

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.integrations.wire import HttpRequest, Mail, Outcome

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

RESPONSE_BYTES_MAX = 65_536
_CONNECT_S_MAX = 5.0
_IDLE_S_MAX = 30.0
_GOODBYE_S_MAX = 1.0

# What ``is_global`` misses or calls global in some Python: translators to IPv4 (which lead to any
# of its addresses), shared and reserved space, and metadata services with public addresses.
_FORBIDDEN: tuple[tuple[Network, str], ...] = tuple(
    (ipaddress.ip_network(network), words)
    for network, words in (
        ("0.0.0.0/8", "this machine"),
        ("100.64.0.0/10", "shared by carriers"),
        ("168.63.129.16/32", "a metadata service"),
        ("192.0.0.0/24", "reserved"),
        ("192.88.99.0/24", "a relay to other networks"),
        ("198.18.0.0/15", "for benchmarks"),
        ("240.0.0.0/4", "reserved"),
        ("::/96", "this machine or an IPv4 address in disguise"),
        ("::ffff:0:0:0/96", "an IPv4 address in disguise"),
        ("3fff::/20", "for documentation"),
        ("64:ff9b::/96", "an IPv4 address in disguise"),
        ("64:ff9b:1::/48", "an IPv4 address in disguise"),
        ("2001::/32", "an IPv4 address in disguise"),
        ("2002::/16", "an IPv4 address in disguise"),
        ("fec0::/10", "private"),
    )
)
# What the system's resolver would read as an IPv4 address although nobody writes one like this.
_HOST = re.compile(r"[a-z0-9._:-]+", re.IGNORECASE)  # the name as it goes on the wire
_ODD_ADDRESS = re.compile(r"(?:[^:]*\.)?(?:\d+|0x[0-9a-f]*)\.?", re.IGNORECASE)


class Forbidden(Exception):  # noqa: N818 - the message is a finding about an address
    """This address may not be called: <address>, <why>."""


class AllowList:
    """Addresses and names that may be called although they are private.

    Entries are addresses ("127.0.0.1"), networks ("10.0.0.0/8") or host names, which must match
    whole; a host name that is listed may have any address.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._networks: list[Network] = []
        self._names: set[str] = set()
        for entry in entries:
            try:
                self._networks.append(ipaddress.ip_network(entry.strip(), strict=False))
            except ValueError:
                self._names.add(_plain_name(entry))

    def names(self, host: str) -> bool:
        """Say whether a host is listed by its name."""
        return _plain_name(host) in self._names

    def why_forbidden(self, address: str) -> str:
        """Return why an address may not be called, or "" if it may."""
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return "not an address"
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        if any(parsed in network for network in self._networks):
            return ""
        return _special_use(parsed)


class GuardedClient:
    """HTTP to the outside. One for the whole process; close it, or use it as a context manager.

    ``allow`` lists private addresses, networks and host names that may be called all the same.
    ``deadline_s`` bounds a whole request, from the look-up of the name to the last byte.
    """

    def __init__(
        self,
        allow: Sequence[str] = (),
        *,
        deadline_s: float = 10.0,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._deadline_s = deadline_s
        self._guard = _Guard(AllowList(allow), resolve or resolve_by_system)
        if tls is None:
            tls = ssl.create_default_context()
            tls.set_alpn_protocols(["http/1.1"])
        self._tls = tls
        self._opened: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Return itself; connections are opened when they are needed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        if self._opened is not None:
            await self._opened.close()

    async def perform(self, request: HttpRequest) -> HttpResponse | Retry | Refused:
        """Return the answer, whatever its status, or why there is none.

        Retry where the network failed, Refused where the request may not or cannot be made. A
        redirect is an answer like any other.
        """
        where = origin_of(request.url)
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._send(request)
        except TimeoutError:
            return Retry(None, f"No answer from {where} within {self._deadline_s:g} s.")
        except Forbidden as error:
            return Refused(f"{error} To call it all the same, list it in [outbound] allow.")
        except aiohttp.InvalidURL as error:
            return Refused(f"The request cannot be made: {type(error).__name__}.")
        except (aiohttp.ClientError, OSError) as error:
            return Retry(None, f"{where} cannot be reached: {one_line(_said(error), 120)}.")
        except ValueError as error:  # of an address or a header that cannot be written
            return Refused(f"The request cannot be made: {type(error).__name__}.")

    async def _send(self, request: HttpRequest) -> HttpResponse:
        url = _read_url(request.url)
        self._guard.spelled(str(url.raw_host))
        try:
            return await self._exchange(url, request)
        except aiohttp.ServerDisconnectedError:
            # As a rule a connection that was kept, and closed at the other end meanwhile. Where
            # the request was read all the same, its receiver knows the second one by its key.
            return await self._exchange(url, request)

    async def _exchange(self, url: yarl.URL, request: HttpRequest) -> HttpResponse:
        # A redirect would lead to an address that nobody named.
        async with self._session.request(
            request.method, url, data=request.body, headers=request.headers, allow_redirects=False
        ) as answer:
            return HttpResponse(
                answer.status,
                {name.lower(): value for name, value in answer.headers.items()},
                await _read_some(answer.content),
            )

    @property
    def _session(self) -> aiohttp.ClientSession:
        """Return the one session; it can only be made where the loop runs."""
        if self._opened is None:
            connector = aiohttp.TCPConnector(
                limit=0,  # The courier limits itself, channel by channel.
                ssl=self._tls,
                resolver=self._guard,
                use_dns_cache=False,
                keepalive_timeout=_IDLE_S_MAX,
            )
            self._opened = aiohttp.ClientSession(
                connector=connector,
                # A compressed answer could be a thousand times its size; we read little anyway.
                headers={"User-Agent": "Tocsin", "Accept-Encoding": "identity"},
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=min(self._deadline_s, _CONNECT_S_MAX)
                ),
            )
        return self._opened


class _Guard(aiohttp.abc.AbstractResolver):
    """Knows the addresses of a host, if every one of them may be called."""

    def __init__(self, allowed: AllowList, resolve: Resolve) -> None:
        self._allowed = allowed
        self._resolve = resolve

    def spelled(self, host: str) -> None:
        """Check a host as it is written. Raises Forbidden. Addresses are not looked up later."""
        if not _HOST.fullmatch(host) or _is_odd(host):
            raise Forbidden(f"{one_line(host, 80)} is not how an address is written.")
        with contextlib.suppress(ValueError):
            self._check(host, str(ipaddress.ip_address(host)))

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        """Return every address of a host, as aiohttp asks for it. Raises Forbidden, OSError."""
        try:
            addresses = await self._resolve(host, port)
        except OSError as error:
            raise OSError(error.errno, f"the name is not found ({error.strerror})") from error
        for address in addresses:
            self._check(host, address)
        return [_resolved(host, port, address) for address in addresses]

    async def close(self) -> None:
        """Hold nothing that needs it."""

    def _check(self, host: str, address: str) -> None:
        why = "" if self._allowed.names(host) else self._allowed.why_forbidden(address)
        if why:
            shown = host if host == address else f"{one_line(host, 80)} is {address}, which"
            raise Forbidden(f"{shown} is {why}.")


def _resolved(host: str, port: int, address: str) -> aiohttp.abc.ResolveResult:
    return {
        "hostname": host,
        "host": address,
        "port": port,
        "family": socket.AF_INET6 if ":" in address else socket.AF_INET,
        "proto": socket.IPPROTO_TCP,
        "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    }


async def _read_some(content: aiohttp.StreamReader) -> bytes:
    """Return what an answer holds, up to the limit; what has more to say is hung up on."""
    received = bytearray()
    while len(received) < RESPONSE_BYTES_MAX:
        more = await content.readany()
        if not more:
            break
        received += more
    return bytes(received[:RESPONSE_BYTES_MAX])


@functools.lru_cache(maxsize=256)
def _read_url(text: str) -> yarl.URL:
    """Read an address; it is one of the few in the settings, again and again.

    Raises ValueError for what is none, and Forbidden for one with a user's name in it.
    """
    url = yarl.URL(text)
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise ValueError("http or https only")
    if url.raw_user is not None or url.raw_password is not None:
        raise Forbidden("An address with a user name in it is not called.")
    return url


def _said(error: Exception) -> str:
    """Return what is wrong, without the number of it and without the address, which holds keys."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(error.certificate_error)
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "it hung up without an answer"
    if isinstance(error, aiohttp.ClientError) and not isinstance(error, OSError):
        return "what it answers is not HTTP"
    said = getattr(error, "strerror", None) or (error.args[-1] if error.args else "")
    return str(said).rstrip(".") or type(error).__name__


async def resolve_by_system(host: str, port: int) -> Sequence[str]:
    """Return every address of a host, as the system knows them. Raises OSError for unknown ones."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class SmtpServer(msgspec.Struct, frozen=True):
    """[email]: the operator's own mail server, wherever it stands; it is not guarded.

    ``tls`` "starttls" is refused by servers without it rather than quietly left out. An empty
    ``username`` means no login.
    """

    host: str
    port: int = 587
    tls: Literal["none", "starttls", "tls"] = "starttls"
    username: str = ""
    password: Secret = Secret("")
    deadline_s: float = 20.0


async def send_mail(
    mail: Mail, server: SmtpServer, at: datetime, *, tls: ssl.SSLContext | None = None
) -> Outcome:
    """Hand a mail to the server and return what it said: 4xx is Retry, 5xx is Refused.

    ``at`` becomes the Date. When the connection breaks after the last byte nobody knows whether
    the mail was taken: that is Retry too, and the Message-ID tells readers that it is the same.
    """
    sender = parseaddr(mail.sender)[1]
    try:
        message = _written(mail, at)
    except (ValueError, MessageError):
        return Refused("The mail cannot be written: a line break stands in one of its headers.")
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        timeout=server.deadline_s,
        use_tls=server.tls == "tls",
        start_tls=False,  # by hand below, to tell "not offered" from "failed"
        # Without it the library looks up our own name, which can block for seconds.
        local_hostname=sender.rpartition("@")[2] or None,
        tls_context=tls,
    )
    try:
        async with asyncio.timeout(server.deadline_s):
            missing = await _greet(client, server)
            if missing:
                return Refused(missing)
            await client.send_message(message, sender=sender, recipients=[mail.to])
    except (aiosmtplib.SMTPException, OSError) as error:
        client.close()
        return _judge_smtp(error, server)
    # The mail is taken; how the goodbye goes changes nothing about that.
    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
        await client.quit(timeout=_GOODBYE_S_MAX)
    client.close()
    return Delivered()


async def _greet(client: aiosmtplib.SMTP, server: SmtpServer) -> str:
    """Connect, encrypt and log in; return what the server lacks for that, or ""."""
    await client.connect()
    await client.ehlo()
    where = f"The mail server {server.host}:{server.port}"
    if server.tls == "starttls":
        if not client.supports_extension("starttls"):
            client.close()
            return f"{where} does not offer STARTTLS. Check [email] tls."
        await client.starttls()
        await client.ehlo()
    if server.username:
        if not client.supports_extension("auth"):
            client.close()
            return f"{where} does not offer a login. Check [email] username and tls."
        await client.login(server.username, server.password.reveal())
    return ""


def _written(mail: Mail, at: datetime) -> EmailMessage:
    message = EmailMessage(policy=WIRE_POLICY)
    message["From"] = mail.sender
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(at)
    for name, value in mail.headers:
        message[name] = value
    # Every server takes quoted-printable, and a long link survives it whole.
    message.set_content(mail.text, cte="quoted-printable")
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    return message


def _judge_smtp(error: Exception, server: SmtpServer) -> Outcome:
    where = f"The mail server {server.host}:{server.port}"
    if isinstance(error, aiosmtplib.SMTPAuthenticationError) and error.code >= 500:
        return Refused(f"{where} does not accept our login. Check [email] username and password.")
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused) and error.recipients:
        error = error.recipients[0]
    if isinstance(error, aiosmtplib.SMTPResponseException):
        said = f"{where} says {error.code} {one_line(str(error.message), 120)}".rstrip(". ") + "."
        return Retry(None, said) if error.code < 500 else Refused(said)
    if isinstance(error, TimeoutError):
        return Retry(None, f"{where} gives no answer within {server.deadline_s:g} s.")
    return Retry(None, f"{where} cannot be reached: {one_line(str(error), 120)}".rstrip(". ") + ".")


def _special_use(address: Address) -> str:
    if address.is_loopback or address.is_unspecified:
        return "this machine"
    if address.is_link_local:
        return "link-local, where metadata services are"
    if address.is_multicast:
        return "multicast"
    for network, words in _FORBIDDEN:
        if address in network:
            return words
    return "" if address.is_global else "private"


def _is_odd(host: str) -> bool:
    if not _ODD_ADDRESS.fullmatch(host):
        return False
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return True
    return False


def _plain_name(host: str) -> str:
    return host.strip().rstrip(".").lower()
