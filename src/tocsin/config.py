"""What a person wrote for Tocsin: ``tocsin.toml``, the environment, and the runbook's documents.

What Markdown cannot say lives here: addresses, credentials, who holds a role. Unknown keys fail
with a suggestion; all mistakes are listed at once; secrets come from the environment or from files
and print as ``***``.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import urlsplit

from msgspec.structs import replace

from tocsin.base import faults
from tocsin.base.durations import parse_duration
from tocsin.core.surroundings import Contact, Directory, Person, Tuning, role_key
from tocsin.engine.outbound import SmtpServer
from tocsin.engine.retention import Retention
from tocsin.engine.room import IntakeLimits
from tocsin.engine.watchdog import Alarm, Heartbeat
from tocsin.integrations.wire import (
    Credentials,
    EmailCredentials,
    Secret,
    SlackCredentials,
    WebhookTarget,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FILE_NAME = "tocsin.toml"
TEST_SUFFIX = ".test.md"
"""Documents whose names end so test a runbook, and are no part of it."""
HEARTBEAT_EVERY_MIN = timedelta(seconds=10)
RETENTION_MIN = {"answers": (timedelta(minutes=1), "1m"), "": (timedelta(days=1), "1d")}
TlsMode = Literal["none", "starttls", "tls"]


class ConfigError(Exception):
    """The settings cannot be used: one line for each mistake, each naming its place."""


class Unreadable(Exception):  # noqa: N818 - it says what is so, in one line for a person
    """A runbook cannot be read: <which file, and why>."""


@dataclass(frozen=True)
class Settings:
    """Everything a server is told besides its runbook. ``path`` is None without a settings file."""

    path: Path | None = None
    public_url: str = ""
    directory: Directory = field(default_factory=Directory)
    tuning: Tuning = field(default_factory=Tuning)
    credentials: Credentials = field(default_factory=Credentials)
    smtp: SmtpServer | None = None
    outbound_allow: tuple[str, ...] = ()
    intake: IntakeLimits = field(default_factory=IntakeLimits)
    watchdog: Alarm = field(default_factory=Alarm)
    heartbeat: Heartbeat | None = None
    retention: Retention = field(default_factory=Retention)
    alert_rules: tuple[Path, ...] = ()

    @property
    def is_configured(self) -> bool:
        """Say whether there was a settings file at all."""
        return self.path is not None


def database_url() -> str:
    """Return the PostgreSQL address from ``DATABASE_URL``, or "" for the embedded server."""
    return os.environ.get("DATABASE_URL", "").strip()  # noqa: TID251 - this is the one place


def crash_at(environment: Mapping[str, str] | None = None) -> tuple[str, int] | None:
    """Return at which crash point, and the how manieth time, to die; None: nowhere, as always.

    ``TOCSIN_CRASH_AT=name:nth`` is for the proofs of ``docs/reliability.md``. Raises ConfigError.
    """
    environ = os.environ if environment is None else environment  # noqa: TID251 - the one place
    told = environ.get("TOCSIN_CRASH_AT", "").strip()
    if not told:
        return None
    name, colon, nth = told.partition(":")
    if name not in faults.NAMES:
        raise ConfigError(
            f"TOCSIN_CRASH_AT: there is no crash point called {name!r}; "
            f"there are: {', '.join(faults.NAMES)}."
        )
    if colon and not (nth.isascii() and nth.isdigit() and int(nth) > 0):
        raise ConfigError(f"TOCSIN_CRASH_AT: {told!r}: wants NAME:NTH, counted from 1.")
    return name, int(nth or 1)


def database_direct_url() -> str:
    """Return the address that leads past a pooler, from ``DATABASE_DIRECT_URL``, or ""."""
    return os.environ.get("DATABASE_DIRECT_URL", "").strip()  # noqa: TID251 - see above


def read_runbook(runbook: Path) -> dict[str, str]:
    """Return the Markdown documents of a runbook, a file or a folder, by path, in order of name.

    In a folder those that end in ``.test.md`` are tests, and no part of the runbook. Raises
    Unreadable naming the file.
    """
    try:
        if not runbook.exists():
            raise Unreadable(f"{runbook}: there is no such file or folder.")
        files = [runbook]
        if runbook.is_dir():
            files = sorted(f for f in runbook.rglob("*.md") if not f.name.endswith(TEST_SUFFIX))
    except OSError as error:
        raise Unreadable(f"{runbook}: cannot be read: {error.strerror or error}.") from error
    if not files:
        raise Unreadable(f"{runbook}: this folder holds no Markdown document (*.md).")
    documents = {}
    for file in files:
        try:
            documents[str(file)] = file.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise Unreadable(f"{file}: cannot be read: {error.strerror or error}.") from error
        except UnicodeDecodeError as error:
            raise Unreadable(f"{file}: is not UTF-8 text at byte {error.start}.") from error
    return documents


def find(runbook: Path) -> Path | None:
    """Return the settings file that lies beside a runbook (a file or a folder), or None."""
    beside = (runbook if runbook.is_dir() else runbook.parent) / FILE_NAME
    return beside if beside.is_file() else None


def load(
    path: Path | None,
    environment: Mapping[str, str] | None = None,
    *,
    need_secrets: bool = True,
) -> Settings:
    """Read a settings file; without one, return the settings that page in-app only.

    Without ``need_secrets`` the secrets are not read: checking a runbook needs none of them.
    Raises ConfigError with every mistake in the file, not only the first.
    """
    if path is None:
        return Settings()
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 at byte {error.start}") from error
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    environ = os.environ if environment is None else environment  # noqa: TID251 - the one place
    reader = _Reader(path, text, environ, need_secrets=need_secrets)
    settings = reader.settings(document)
    if reader.mistakes:
        raise ConfigError("\n".join(reader.mistakes))
    return settings


class _Reader:
    """Reads one document and collects every mistake in it."""

    def __init__(
        self, path: Path, text: str, environment: Mapping[str, str], *, need_secrets: bool
    ) -> None:
        self.need_secrets = need_secrets
        self.path = path
        self.lines = text.splitlines()
        self.environment = environment
        self.mistakes: list[str] = []

    # -- The document ------------------------------------------------------------------------------

    def settings(self, document: dict[str, Any]) -> Settings:
        known = (
            "server", "people", "roles", "audiences", "slack", "email", "webhooks", "severity",
            "paging", "incidents", "outbound", "intake", "watchdog", "heartbeat", "retention",
            "runbook", "words", "alerts",
        )  # fmt: skip
        self.keys("", document, known)
        server = self.table(document, "server", ("url",))
        slack = self.table(document, "slack", ("token", "api_url", "channels"))
        webhooks = self.group(document, "webhooks", ("url", "secret"))
        channels, channel_hooks = self.channels(slack)
        smtp = self.smtp(document)
        credentials = Credentials(
            slack=self.slack(slack, channel_hooks),
            email=EmailCredentials(sender=self.sender(document)),
            webhooks={name: self.webhook(name, table) for name, table in webhooks.items()},
        )
        directory = Directory(
            people=self.people(document, credentials),
            roles=self.roles(document),
            audiences=self.audiences(document, credentials),
            channels=channels,
            posts_by_name=bool(credentials.slack.token),
        )
        directory = replace(directory, unconnected=_unconnected(directory, credentials, smtp))
        self.people_of_roles(directory)
        return Settings(
            path=self.path,
            public_url=self.url("server.url", server.get("url", "")).rstrip("/"),
            directory=directory,
            tuning=self.tuning(document),
            credentials=credentials,
            smtp=smtp,
            outbound_allow=self.strings(
                "outbound.allow", self.table(document, "outbound", ("allow",)).get("allow", [])
            ),
            intake=self.intake(document),
            watchdog=self.watchdog(document, credentials, smtp),
            heartbeat=self.heartbeat(document),
            retention=self.retention(document),
            alert_rules=self.alert_rules(document),
        )

    def people(self, document: dict[str, Any], credentials: Credentials) -> dict[str, Person]:
        people = {}
        for name, table in self.group(document, "people", ("name", "contacts")).items():
            contacts = self.contacts(
                f"people.{name}.contacts", table.get("contacts", []), credentials
            )
            people[name] = Person(
                name, self.string(f"people.{name}.name", table.get("name", name)), contacts
            )
        return people

    def roles(self, document: dict[str, Any]) -> dict[str, tuple[str, ...]]:
        roles = {}
        for role, holders in self.mapping(document, "roles").items():
            names = [holders] if isinstance(holders, str) else holders
            roles[role_key(role)] = self.strings(f"roles.{role}", names)
        return roles

    def people_of_roles(self, directory: Directory) -> None:
        for role, names in directory.roles.items():
            for name in names:
                if name not in directory.people:
                    hint = _suggest(name, directory.people)
                    self.fault(
                        f"roles.{role}", f"nobody in [people] is called {name!r}{hint}", name
                    )

    def audiences(
        self, document: dict[str, Any], credentials: Credentials
    ) -> dict[str, tuple[Contact, ...]]:
        return {
            role_key(name): self.contacts(f"audiences.{name}", contacts, credentials)
            for name, contacts in self.mapping(document, "audiences").items()
        }

    def channels(self, slack: dict[str, Any]) -> tuple[dict[str, Contact], dict[str, Secret]]:
        channels: dict[str, Contact] = {}
        hooks: dict[str, Secret] = {}
        for name, value in self.mapping(slack, "channels", "slack.channels").items():
            where = f"slack.channels.{name}"
            if isinstance(value, str):
                channels[role_key(name)] = Contact("slack", value)
            elif isinstance(value, dict) and set(value) == {"webhook"}:
                hooks[f"webhook:{name}"] = self.secret(f"{where}.webhook", value["webhook"])
                channels[role_key(name)] = Contact("slack", f"webhook:{name}")
            else:
                self.fault(
                    where, 'wants a channel id ("C0123") or { webhook = { env = "NAME" } }', name
                )
        return channels, hooks

    def slack(self, slack: dict[str, Any], hooks: dict[str, Secret]) -> SlackCredentials:
        token = self.secret("slack.token", slack["token"]) if "token" in slack else Secret("")
        api_url = self.url("slack.api_url", slack.get("api_url", "https://slack.com/api"))
        return SlackCredentials(token=token, api_url=api_url.rstrip("/"), webhooks=hooks)

    def smtp(self, document: dict[str, Any]) -> SmtpServer | None:
        known = ("host", "port", "tls", "username", "password", "from")
        table = self.table(document, "email", known)
        if not table:
            return None
        for name in ("host", "from"):
            if name not in table:
                self.fault("email", f"needs {name!r}", "email")
        tls = self.string("email.tls", table.get("tls", "starttls"))
        if tls not in ("none", "starttls", "tls"):
            self.fault("email.tls", f'is "none", "starttls" or "tls", not {tls!r}', "tls")
        port = table.get("port", 465 if tls == "tls" else 587)
        if not isinstance(port, int) or not 0 < port < 65_536:
            self.fault("email.port", f"is a port number, not {port!r}", "port")
            port = 587
        return SmtpServer(
            host=self.string("email.host", table.get("host", "")),
            port=port,
            tls=cast("TlsMode", tls),
            username=self.string("email.username", table.get("username", "")),
            password=self.secret("email.password", table["password"])
            if "password" in table
            else Secret(""),
        )

    def sender(self, document: dict[str, Any]) -> str:
        return self.string("email.from", self.mapping(document, "email").get("from", ""))

    def webhook(self, name: str, table: dict[str, Any]) -> WebhookTarget:
        where = f"webhooks.{name}"
        for key in ("url", "secret"):
            if key not in table:
                self.fault(where, f"needs {key!r}", name)
        url = table.get("url", "https://missing.invalid")
        if isinstance(url, dict):
            address = self.secret(f"{where}.url", url)
        else:
            address = Secret(self.url(f"{where}.url", url))
        secret = (
            self.secret(f"{where}.secret", table["secret"]) if "secret" in table else Secret("")
        )
        return WebhookTarget(url=address, secret=secret)

    def tuning(self, document: dict[str, Any]) -> Tuning:
        severity = self.table(document, "severity", ("labels", "default"))
        labels = self.mapping(severity, "labels", "severity.labels")
        paging = self.table(document, "paging", ("repeat_every",))
        incidents = self.table(document, "incidents", ("stability", "service_labels"))
        runbook = self.table(document, "runbook", ("urls",))
        urls = self.mapping(runbook, "urls", "runbook.urls")
        defaults = Tuning()
        repeat = paging.get("repeat_every", f"{defaults.repeat_every_s}s")
        never = repeat == "never"
        return Tuning(
            repeat_every_s=0
            if never
            else int(self.duration("paging.repeat_every", repeat).total_seconds()),
            stability_s=int(
                self.duration(
                    "incidents.stability", incidents.get("stability", f"{defaults.stability_s}s")
                ).total_seconds()
            ),
            severity_by_label={
                key.casefold(): self.string(f"severity.labels.{key}", value)
                for key, value in labels.items()
            },
            severity_default=self.string("severity.default", severity["default"])
            if "default" in severity
            else None,
            service_labels=self.strings(
                "incidents.service_labels",
                incidents.get("service_labels", list(defaults.service_labels)),
            ),
            runbook_urls={
                prefix: self.string(f"runbook.urls.{prefix}", folder)
                for prefix, folder in urls.items()
            },
            same_words=self.same_words(document),
        )

    def alert_rules(self, document: dict[str, Any]) -> tuple[Path, ...]:
        rules = self.table(document, "alerts", ("rules",)).get("rules", [])
        return tuple(self.path.parent / path for path in self.strings("alerts.rules", rules))

    def same_words(self, document: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
        table = self.table(document, "words", ("same",))
        groups = table.get("same", [])
        if not isinstance(groups, list) or not all(isinstance(group, list) for group in groups):
            self.fault("words.same", "must be a list of lists of words", "same")
            return ()
        read = tuple(self.strings("words.same", group) for group in groups)
        for group in read:
            if len(group) < 2:
                self.fault("words.same", "needs at least two words in each list", "same")
            for word in group:
                if not word.isalnum():
                    self.fault("words.same", f"\u201c{word}\u201d is not one word", word)
        return read

    def watchdog(
        self, document: dict[str, Any], credentials: Credentials, smtp: SmtpServer | None
    ) -> Alarm:
        table = self.table(document, "watchdog", ("contacts", "after"))
        contacts = self.contacts("watchdog.contacts", table.get("contacts", []), credentials)
        # Nobody would find out but by the trouble that it is for.
        missing = _unconnected(Directory(audiences={"": contacts}), credentials, smtp)
        for contact, why in missing.items():
            self.fault("watchdog.contacts", f"{contact} cannot be reached: {why}", contact)
        usual = Alarm()
        after = self.duration("watchdog.after", table.get("after", f"{usual.after_s:g}s"))
        return Alarm(contacts, after.total_seconds())

    def heartbeat(self, document: dict[str, Any]) -> Heartbeat | None:
        table = self.table(document, "heartbeat", ("url", "every"))
        if not table:
            return None
        if "url" not in table:
            self.fault("heartbeat", "needs 'url'", "heartbeat")
        value = table.get("url", "")
        url = (
            self.secret("heartbeat.url", value)
            if isinstance(value, dict)
            else Secret(self.url("heartbeat.url", value))
        )
        every = self.duration("heartbeat.every", table.get("every", "60s"))
        if every < HEARTBEAT_EVERY_MIN:
            self.fault("heartbeat.every", "is at least 10s", "every")
        return Heartbeat(url, every.total_seconds())

    def intake(self, document: dict[str, Any]) -> IntakeLimits:
        table = self.table(document, "intake", ("waiting_max", "quarantine_mb_max"))
        usual = IntakeLimits()
        waiting = self.count("intake.waiting_max", table.get("waiting_max", usual.waiting_max))
        usual_mb = usual.quarantine_bytes_max // 1_048_576
        quarantine_mb = self.count(
            "intake.quarantine_mb_max", table.get("quarantine_mb_max", usual_mb)
        )
        return IntakeLimits(waiting, quarantine_mb * 1_048_576)

    def retention(self, document: dict[str, Any]) -> Retention:
        known = (
            "incidents", "deliveries", "desks", "alerts", "silences", "quarantine", "audit",
            "answers",
        )  # fmt: skip
        kept = {}
        for name, value in self.table(document, "retention", known).items():
            if name not in known:
                continue
            faults_before = len(self.mistakes)
            kept[name] = self.duration(f"retention.{name}", value)
            least, said = RETENTION_MIN["answers" if name == "answers" else ""]
            if kept[name] < least and len(self.mistakes) == faults_before:
                self.fault(f"retention.{name}", f"is at least {said}", name)
        return replace(Retention(), **kept)

    # -- Values ------------------------------------------------------------------------------------

    def contacts(self, where: str, values: object, credentials: Credentials) -> tuple[Contact, ...]:
        contacts = []
        for value in self.strings(where, [values] if isinstance(values, str) else values):
            kind, _, address = value.partition(":")
            if kind not in ("email", "slack", "webhook") or not address:
                hint = "a contact is email:<address>, slack:<user id> or webhook:<name>"
                self.fault(where, f"{value!r} is no contact: {hint}", value)
                continue
            if kind == "email" and ("@" not in address or any(c.isspace() for c in address)):
                self.fault(where, f"{address!r} is no e-mail address", value)
            if kind == "webhook" and address not in credentials.webhooks:
                hint = _suggest(address, credentials.webhooks)
                self.fault(where, f"there is no [webhooks.{address}]{hint}", value)
            contacts.append(Contact(kind, address))
        return tuple(contacts)

    def duration(self, where: str, value: object) -> timedelta:
        found = parse_duration(value) if isinstance(value, str) else None
        if found is None:
            self.fault(
                where,
                f'wants a duration such as "5m" or "1h30m", not {value!r}',
                where.split(".")[-1],
            )
            return timedelta(0)
        return found

    def count(self, where: str, value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
        self.fault(where, f"wants a whole number above 0, not {value!r}", where.split(".")[-1])
        return 1

    def secret(self, where: str, value: object) -> Secret:
        wants = 'wants { env = "NAME" } or { file = "path" }, so that no secret stands in this file'
        if not isinstance(value, dict) or len(value) != 1 or not set(value) <= {"env", "file"}:
            self.fault(where, wants, where.split(".")[-1])
            return Secret("")
        if not self.need_secrets:
            return Secret("not read")
        if "env" in value:
            name = str(value["env"])
            if name not in self.environment:
                self.fault(where, f"the environment variable {name} is not set", name)
            elif not self.environment[name]:
                self.fault(where, f"the environment variable {name} is empty", name)
            return Secret(self.environment.get(name, ""))
        file = self.path.parent / str(value["file"])
        try:
            return Secret(file.read_text(encoding="utf-8").strip())
        except (OSError, UnicodeDecodeError) as error:
            self.fault(where, f"{file} cannot be read: {error}", str(value["file"]))
            return Secret("")

    def url(self, where: str, value: object) -> str:
        text = self.string(where, value)
        if text and (urlsplit(text).scheme not in ("http", "https") or not urlsplit(text).hostname):
            self.fault(
                where, f"wants an address such as https://tocsin.example.org, not {text!r}", text
            )
        return text

    def string(self, where: str, value: object) -> str:
        if isinstance(value, str):
            return value
        self.fault(where, f"wants text in quotes, not {value!r}", where.split(".")[-1])
        return ""

    def strings(self, where: str, value: object) -> tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            return tuple(value)
        self.fault(where, f"wants a list of texts, not {value!r}", where.split(".")[-1])
        return ()

    def table(self, document: dict[str, Any], name: str, known: tuple[str, ...]) -> dict[str, Any]:
        table = self.mapping(document, name)
        self.keys(name, table, known)
        return table

    def group(
        self, document: dict[str, Any], name: str, known: tuple[str, ...]
    ) -> dict[str, dict[str, Any]]:
        tables = {}
        for key, value in self.mapping(document, name).items():
            if not isinstance(value, dict):
                self.fault(f"{name}.{key}", f"wants a table: [{name}.{key}]", key)
                continue
            self.keys(f"{name}.{key}", value, known)
            tables[key] = value
        return tables

    def mapping(self, document: dict[str, Any], name: str, where: str = "") -> dict[str, Any]:
        value = document.get(name, {})
        if isinstance(value, dict):
            return value
        self.fault(where or name, f"wants a table: [{where or name}]", name)
        return {}

    def keys(self, where: str, table: dict[str, Any], known: tuple[str, ...]) -> None:
        for key in table:
            if key not in known:
                place = f"{where}.{key}" if where else key
                self.fault(place, f"is not a setting{_suggest(key, known)}", key)

    def fault(self, where: str, message: str, needle: str) -> None:
        self.mistakes.append(f"{self.path}:{self.line_of(where, needle)}: {where} {message}")

    def line_of(self, where: str, needle: str) -> int:
        """Return the line where a setting stands: inside its own table, else the first mention."""
        table = ""
        mentions = []
        for number, line in enumerate(self.lines, 1):
            header = line.strip()
            if header.startswith("["):
                table = header.strip("[] ").replace('"', "").replace("'", "")
            if needle not in line:
                continue
            mentions.append(number)
            if table and (where == table or where.startswith(f"{table}.")):
                return number
        return mentions[0] if mentions else 1


def _suggest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f". Did you mean {close[0]!r}?" if close else ""


def _unconnected(
    directory: Directory, credentials: Credentials, smtp: SmtpServer | None
) -> dict[str, str]:
    """Return the contacts that nothing can leave by, each with what is missing for it."""
    missing = {}
    contacts = [c for person in directory.people.values() for c in person.contacts]
    contacts += [c for audience in directory.audiences.values() for c in audience]
    contacts += list(directory.channels.values())
    for contact in contacts:
        by_hook = contact.address in credentials.slack.webhooks
        if contact.kind == "slack" and not by_hook and not credentials.slack.token:
            missing[str(contact)] = "[slack] token is not set"
        if contact.kind == "email" and smtp is None:
            missing[str(contact)] = "there is no [email] section"
    return missing
