"""What passes between an integration, which only translates, and the courier, which sends.

Secrets live in ``Secret`` fields from the settings to the moment of sending: neither ``repr`` nor
``str`` nor an exception that shows one of these values gives them away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from tocsin.core.effects import Message
    from tocsin.core.surroundings import Contact

_MASK = "***"


class Secret:
    """Text that prints as ``***``. Equal to another with the same text; empty is false."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text; call it where the text leaves, nowhere else."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return _MASK

    __str__ = __repr__


class Links(msgspec.Struct, frozen=True):
    """Addresses of our own pages. ``acknowledge`` is empty when there is nothing to acknowledge.

    The acknowledgement link acts for the person who holds it, so it is masked like a secret.
    """

    room: str
    acknowledge: str = ""

    def __repr__(self) -> str:
        """Return the fields without the acknowledgement link."""
        return f"Links(room={self.room!r}, acknowledge={_mask(self.acknowledge)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return the same to rich, whose tracebacks would otherwise list every field."""
        return [("room", self.room), ("acknowledge", _mask(self.acknowledge))]


class HttpRequest(msgspec.Struct, frozen=True):
    """A request to be made. Header names are unique whatever their case.

    ``repr`` shows the method and the host only: tokens stand in headers, and with some channels
    in the path of the address.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __repr__(self) -> str:
        """Return the method, the host and the size."""
        return f"HttpRequest({self.method} {origin_of(self.url)}, {len(self.body)} bytes)"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return the same to rich."""
        return [("method", self.method), ("url", origin_of(self.url))]


class Mail(msgspec.Struct, frozen=True):
    """A mail to be sent. ``headers`` are those besides From, To, Subject and Date.

    No field that becomes a header holds a line break: ``integrations.outbound.email`` sees to it,
    and the sender refuses it once more. ``repr`` leaves the text out, which holds a live link.
    """

    sender: str
    to: str
    subject: str
    text: str
    html: str | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        """Return the envelope."""
        return f"Mail(sender={self.sender!r}, to={self.to!r}, subject={self.subject!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return the same to rich."""
        return [("sender", self.sender), ("to", self.to), ("subject", self.subject)]


class HttpResponse(msgspec.Struct, frozen=True):
    """An answer. Header names are in lower case; ``body`` is cut at the client's limit."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


class Delivered(msgspec.Struct, frozen=True):
    """The channel took it. ``reference`` is the channel's own name for it, or empty."""

    reference: str = ""


class Retry(msgspec.Struct, frozen=True):
    """Not now. ``after_s`` is what the channel asked for, or None if it did not say."""

    after_s: float | None
    detail: str


class Refused(msgspec.Struct, frozen=True):
    """Not like this: trying again cannot help. ``detail`` is a sentence for a person."""

    detail: str


Outcome = Delivered | Retry | Refused


class NotConfigured(Exception):  # noqa: N818 - the message is the finding, not an error of ours
    """The settings lack what this contact needs: <which setting>."""


class SlackCredentials(msgspec.Struct, frozen=True):
    """[slack]: ``token`` of the bot; ``webhooks`` maps the address of a channel to its webhook URL."""

    token: Secret = Secret("")
    api_url: str = "https://slack.com/api"
    webhooks: dict[str, Secret] = {}


class EmailCredentials(msgspec.Struct, frozen=True):
    """[email]: what integrations need of it, which is the sender. Empty means not configured."""

    sender: str = ""


class WebhookTarget(msgspec.Struct, frozen=True):
    """[webhooks.<name>]: the address is a secret too, since many hold their token in the path."""

    url: Secret
    secret: Secret


class Credentials(msgspec.Struct, frozen=True):
    """What the settings hold for every outbound integration; each takes only its own part."""

    slack: SlackCredentials = SlackCredentials()
    email: EmailCredentials = EmailCredentials()
    webhooks: dict[str, WebhookTarget] = {}


class Outbound(Protocol):
    """An outbound integration: pure, found by entry point (group ``tocsin.outbound``)."""

    @property
    def kind(self) -> str:
        """Return what contacts of this integration begin with: "slack" for "slack:U1"."""
        ...

    def request(
        self,
        message: Message,
        contact: Contact,
        links: Links,
        credentials: Credentials,
        key: str,
        timestamp_s: int,
    ) -> HttpRequest | Mail:
        """Return what to send.

        ``key`` is the same on every attempt of one delivery; ``timestamp_s`` is the Unix time of
        this attempt. Raises NotConfigured when the settings lack what the contact needs.
        """
        ...

    def outcome(self, response: HttpResponse) -> Outcome:
        """Return what an answer means. Mails have no answer: the sender judges SMTP itself."""
        ...


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address: what may be shown, since paths hold tokens."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return _MASK
    authority = rest.replace("\\", "/").partition("/")[0].partition("?")[0].partition("#")[0]
    return f"{scheme}://{authority.rpartition('@')[2]}"


def _mask(text: str) -> str:
    return _MASK if text else "''"
