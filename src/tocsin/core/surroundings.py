"""Recorded facts from outside a stream: who holds which role, what is silenced, how we are set."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

import msgspec
import re2

_NOT_WORD = re.compile(r"[^a-z0-9@#]+")
# RE2 takes time by the length of the text times the size of the expression. Both are bounded:
# without, one expression of a few hundred characters can take a minute for one alert.
EXPRESSION_TEXT_MAX = 2048
EXPRESSION_OPTIONS = re2.Options()
EXPRESSION_OPTIONS.log_errors = False
EXPRESSION_OPTIONS.max_mem = 524_288  # a thousand host names fit in


@lru_cache(maxsize=4_096)
def role_key(role: str) -> str:
    """Return the form in which roles are compared: "On-Call Engineer" is "on call engineer"."""
    return _NOT_WORD.sub(" ", role.casefold()).strip()


class Contact(msgspec.Struct, frozen=True):
    """One way to reach somebody: ``kind`` names the outbound integration, e.g. "email"."""

    kind: str
    address: str

    def __str__(self) -> str:
        """Return ``kind:address``, as the settings write it."""
        return f"{self.kind}:{self.address}"


class Person(msgspec.Struct, frozen=True):
    """Somebody who can be paged. ``contacts`` are tried in order; empty means in-app only."""

    id: str
    name: str
    contacts: tuple[Contact, ...] = ()


class Directory(msgspec.Struct, frozen=True):
    """Who is who. Keys of ``roles`` and ``audiences`` are ``role_key`` forms.

    ``channels`` maps the ``role_key`` of a channel ("#incidents") to the contact that posts there.
    ``unconnected`` maps contacts of the settings (``str(contact)``) whose own channel is not set up
    to what is missing: nothing can leave by them.
    """

    people: dict[str, Person] = {}
    roles: dict[str, tuple[str, ...]] = {}
    audiences: dict[str, tuple[Contact, ...]] = {}
    channels: dict[str, Contact] = {}
    posts_by_name: bool = False
    unconnected: dict[str, str] = {}

    def channel(self, name: str) -> Contact | None:
        """Return the contact that posts to a channel of the document ("#incidents"), or None.

        With ``posts_by_name`` a channel that the settings do not map is addressed by its name.
        """
        mapped = self.channels.get(role_key(name))
        if mapped is None and self.posts_by_name and name.startswith("#"):
            return Contact("slack", name)
        return mapped

    def audience(self, name: str) -> tuple[Contact, ...]:
        """Return the contacts behind "team", "users" or a plain address; empty if there is none."""
        named = self.audiences.get(role_key(name), ())
        if not named and "@" in name.strip("@"):
            return (Contact("email", name),)
        return named

    def holders(self, role: str) -> tuple[Person, ...]:
        """Return who holds a role now, in the order of the settings; empty if nobody does."""
        return tuple(self.people[name] for name in self.roles.get(role_key(role), ()))

    def reachable_as(self, role: str) -> tuple[Person, ...]:
        """Return the holders of a role, or a stand-in for the role itself, reached in-app only."""
        return self.holders(role) or (Person(id=f"role:{role_key(role)}", name=role),)


class Matcher(msgspec.Struct, frozen=True):
    """One label condition of a silence, as Alertmanager defines it. A missing label is ""."""

    name: str
    value: str
    is_regex: bool = False
    is_equal: bool = True

    def matches(self, labels: dict[str, str]) -> bool:
        """Say whether the labels satisfy this condition.

        Expressions match the whole value and are RE2, as in Alertmanager: a user's expression
        cannot take exponential time. An expression that RE2 refuses matches nothing, and neither
        does one that is put to a text over EXPRESSION_TEXT_MAX: what cannot be judged is not
        silenced. Receivers reject bad expressions before they are stored.
        """
        have = labels.get(self.name, "")
        if not self.is_regex:
            return (have == self.value) is self.is_equal
        if len(have) > EXPRESSION_TEXT_MAX:
            return False
        try:
            hit = re2.fullmatch(self.value, have, EXPRESSION_OPTIONS) is not None
        except re2.error:
            return False
        return hit is self.is_equal


class Silence(msgspec.Struct, frozen=True):
    """A silence: alerts that satisfy all ``matchers`` are muted from ``starts_at`` to ``ends_at``."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime
    created_by: str = ""
    comment: str = ""

    def mutes(self, labels: dict[str, str], at: datetime) -> bool:
        """Say whether an alert with these labels is muted at that instant."""
        return self.starts_at <= at < self.ends_at and self.concerns(labels)

    def concerns(self, labels: dict[str, str]) -> bool:
        """Say whether it is about an alert with these labels, whenever."""
        return all(matcher.matches(labels) for matcher in self.matchers)


class Tuning(msgspec.Struct, frozen=True):
    """What a team may set and the document does not say.

    ``severity_by_label`` maps the value of a ``severity`` or ``priority`` label, case-folded, to a
    level. ``repeat_every_s`` is 0 for pages that are never repeated. ``runbook_urls`` maps the
    beginnings of addresses to folders of the runbook. Each entry of ``same_words`` holds words that
    mean the same.
    """

    repeat_every_s: int = 300
    stability_s: int = 900
    severity_by_label: dict[str, str] = {}
    severity_default: str | None = None
    service_labels: tuple[str, ...] = ("service", "app", "job")
    runbook_urls: dict[str, str] = {}
    same_words: tuple[tuple[str, ...], ...] = ()


class Surroundings(msgspec.Struct, frozen=True):
    """The facts a decision may use besides its stream's own state.

    ``open_incident`` is the one that takes the alerts of the same service now, or "".
    """

    directory: Directory = Directory()
    tuning: Tuning = Tuning()
    silences: tuple[Silence, ...] = ()
    fresh_incident_id: str = ""
    open_incident: str = ""
