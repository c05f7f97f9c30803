"""Whom the runbook names and the settings do not: found before an incident, not in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tocsin.base.source import Source
from tocsin.core.policy import Communication, EscalationRule, Finding, Level, Policy
from tocsin.core.surroundings import Contact, Directory, Person, role_key
from tocsin.runbook.document import split_lines
from tocsin.runbook.findings import CATALOGUE, did_you_mean


def check_directory(
    policy: Policy,
    directory: Directory,
    configured: bool,
    documents: Mapping[str, str] | None = None,
) -> tuple[Finding, ...]:
    """Report roles without people, people without contacts, audiences and channels without address.

    An address by which nothing can leave, as its own channel is not set up, is reported as well.
    Without settings at all, roles are one finding together. ``documents`` lets findings point at
    the line and column where a role is named; without them they stand at the rule that needs it.
    """
    checker = _Checker(documents or {})
    if not configured:
        checker.unconfigured(policy)
    else:
        checker.roles(policy, directory)
        checker.channels(policy, directory)
    checker.audiences(policy, directory)
    return tuple(sorted(checker.findings, key=lambda f: (f.source.file, f.source.line, f.column)))


class _Checker:
    def __init__(self, documents: Mapping[str, str]) -> None:
        self.findings: list[Finding] = []
        self._lines = {file: split_lines(text) for file, text in documents.items()}

    def unconfigured(self, policy: Policy) -> None:
        roles = dict.fromkeys(role for rule in policy.escalations for role in rule.to)
        if not roles:
            return
        source = Source(policy.escalations[0].source.file, 1)
        self._find(
            "T140",
            source,
            1,
            f"There is no tocsin.toml: {len(roles)} roles ({', '.join(roles)}) are paged in the app"
            " only.",
            "Write one beside the runbook that says who holds each role; `tocsin init` makes one.",
        )

    def roles(self, policy: Policy, directory: Directory) -> None:
        for role, rule in _first_rule_by_role(policy).items():
            source, column = self._where(role, rule.source)
            holders = [
                directory.people[person]
                for person in directory.roles.get(role_key(role), ())
                if person in directory.people
            ]
            if not holders:
                hint = did_you_mean(role_key(role), directory.roles)
                self._find(
                    "T141",
                    source,
                    column,
                    f"Nobody holds the role \u201c{role}\u201d; it is paged in the app only.",
                    f"Add it under [roles] in tocsin.toml. {hint}".strip(),
                )
            for person in holders:
                if not person.contacts:
                    self._find(
                        "T142",
                        source,
                        column,
                        f"{person.name}, who holds \u201c{role}\u201d, has no contact.",
                        f"Add contacts under [people.{person.id}] in tocsin.toml.",
                    )
            told_of_role = _in_app_only(role, holders, directory)
            for person in holders:
                self._dead_contacts(person, directory, source, column, told_of_role)

    def _dead_contacts(
        self, person: Person, directory: Directory, source: Source, column: int, told_of_role: str
    ) -> None:
        """Report a holder's contacts that lead nowhere, and with the last one what that means."""
        dead = [c for c in person.contacts if str(c) in directory.unconnected]
        for contact in dead:
            told = ""
            if len(dead) == len(person.contacts) and contact is dead[-1]:
                told = told_of_role or f" {person.name} is reached in the app only."
            self._find(
                "T143",
                source,
                column,
                f"{person.name}'s contact {contact} leads nowhere:"
                f" {directory.unconnected[str(contact)]}.{told}",
                _remedy_for(contact),
            )

    def channels(self, policy: Policy, directory: Directory) -> None:
        for rule in policy.communications:
            if rule.channel != "slack" or rule.target is None or rule.unknown_filter:
                continue
            contact = directory.channel(rule.target)
            if contact is None:
                self._address("T137", rule, f"The channel {rule.target}", "[slack.channels]")
            else:
                self._dead_addresses(rule, f"The channel {rule.target}", (contact,), directory)

    def audiences(self, policy: Policy, directory: Directory) -> None:
        for rule in policy.communications:
            if rule.channel != "email" or rule.target is None or rule.unknown_filter:
                continue
            contacts = directory.audience(rule.target)
            by_mail = tuple(contact for contact in contacts if contact.kind == "email")
            if by_mail:
                self._dead_addresses(rule, f"\u201c{rule.target}\u201d", by_mail, directory)
            elif contacts:
                self._find(
                    "T145",
                    rule.source,
                    self._column(rule.source, rule.target),
                    f"\u201c{rule.target}\u201d has no e-mail address, only {_listed(contacts)}, so"
                    " this e-mail is never sent.",
                    f"Add email:<address> to \u201c{rule.target}\u201d under [audiences].",
                )
            elif "@" not in rule.target:
                self._address("T132", rule, f"\u201c{rule.target}\u201d", "[audiences]")

    def _dead_addresses(
        self, rule: Communication, what: str, contacts: Sequence[Contact], directory: Directory
    ) -> None:
        assert rule.target is not None
        dead = [c for c in contacts if str(c) in directory.unconnected]
        for contact in dead:
            told = ""
            if len(dead) == len(contacts) and contact is dead[-1]:
                told = " This notice cannot leave the app."
            self._find(
                "T144",
                rule.source,
                self._column(rule.source, rule.target),
                f"{what} leads nowhere by {contact}: {directory.unconnected[str(contact)]}.{told}",
                _remedy_for(contact),
            )

    def _address(self, code: str, rule: Communication, what: str, table: str) -> None:
        assert rule.target is not None
        column = self._column(rule.source, rule.target)
        self._find(
            code,
            rule.source,
            column,
            f"{what} has no address in the settings, so this notice cannot leave the app.",
            f"Add it under {table} in tocsin.toml.",
        )

    def _where(self, role: str, source: Source) -> tuple[Source, int]:
        """Return the line nearest to the rule that names the role, with its column."""
        lines = self._lines.get(source.file, [])
        naming = [n for n, text in enumerate(lines, start=1) if role.casefold() in text.casefold()]
        if not naming:
            return source, 1
        line = min(naming, key=lambda n: (abs(n - source.line), n))
        quote = lines[line - 1].strip()
        return Source(source.file, line, quote), self._column(Source(source.file, line), role)

    def _column(self, source: Source, words: str) -> int:
        lines = self._lines.get(source.file, [])
        text = lines[source.line - 1] if 0 < source.line <= len(lines) else ""
        return max(0, text.casefold().find(words.casefold())) + 1

    def _find(self, code: str, source: Source, column: int, message: str, remedy: str) -> None:
        level: Level = CATALOGUE[code][0]
        self.findings.append(Finding(code, level, source, column, message, remedy))


def _first_rule_by_role(policy: Policy) -> dict[str, EscalationRule]:
    first: dict[str, EscalationRule] = {}
    for rule in policy.escalations:
        for role in rule.to:
            first.setdefault(role, rule)
    return first


def _in_app_only(role: str, holders: Sequence[Person], directory: Directory) -> str:
    """Return the sentence that nobody who holds a role is reached outside the app, or nothing."""
    reached = [
        contact
        for person in holders
        for contact in person.contacts
        if str(contact) not in directory.unconnected
    ]
    return "" if reached else f" \u201c{role}\u201d is paged in the app only."


def _remedy_for(contact: Contact) -> str:
    if contact.kind == "slack":
        return "Set token under [slack] in tocsin.toml."
    if contact.kind == "email":
        return "Write the section [email] in tocsin.toml: the server that sends the mail."
    return f"Set up {contact.kind} in tocsin.toml."


def _listed(contacts: Sequence[Contact]) -> str:
    return ", ".join(str(contact) for contact in contacts)
