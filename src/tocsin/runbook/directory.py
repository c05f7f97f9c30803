"""Whom the runbook names and the settings do not: found before an incident, not in it."""

from __future__ import annotations

from collections.abc import Mapping

from tocsin.base.source import Source
from tocsin.core.policy import Communication, EscalationRule, Finding, Level, Policy
from tocsin.core.surroundings import Directory, role_key
from tocsin.runbook.document import split_lines
from tocsin.runbook.findings import CATALOGUE, did_you_mean


def check_directory(
    policy: Policy,
    directory: Directory,
    configured: bool,
    documents: Mapping[str, str] | None = None,
) -> tuple[Finding, ...]:
    """Report roles without people, people without contacts, audiences and channels without address.

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

    def channels(self, policy: Policy, directory: Directory) -> None:
        for rule in policy.communications:
            if rule.channel != "slack" or rule.target is None or rule.unknown_filter:
                continue
            if directory.channel(rule.target) is None:
                self._address("T137", rule, f"The channel {rule.target}", "[slack.channels]")

    def audiences(self, policy: Policy, directory: Directory) -> None:
        for rule in policy.communications:
            if rule.channel != "email" or rule.target is None or rule.unknown_filter:
                continue
            if "@" not in rule.target and not directory.audience(rule.target):
                self._address("T132", rule, f"\u201c{rule.target}\u201d", "[audiences]")

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
