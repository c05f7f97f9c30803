"""What one simulated world is made of: a policy, people, settings, processes, and what can break."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tocsin.base.source import Source
from tocsin.core.desk import REPORT
from tocsin.core.inputs import Signal
from tocsin.core.policy import Clock, EscalationRule, Policy, Urgency
from tocsin.core.surroundings import Contact, Directory, Person, Tuning, role_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from random import Random

_NAMES = ("ada", "bo", "cleo", "dan", "eva", "finn")
_SERVICES = ("api", "billing", "search")
_TITLES = (
    "ServiceDown",
    "DatabaseConnectionFailure",
    "HighLatency",
    "DiskFull",
    "ErrorRateHigh",
    "CertificateExpires",
)
_DELAYS_S = (0, 60, 300, 900, 1800, 3600, 14_400)
_EXTRA_ROLES = ("Team Lead", "Engineering Manager", "CTO", "On-Call Engineer", "DBA")


class Condition(msgspec.Struct, frozen=True):
    """One thing that can go wrong out there, and be told. ``by_person``: by a report, once."""

    name: str
    service: str
    labels: dict[str, str]
    by_person: bool = False

    def signal(self, starts_at: datetime, ends_at: datetime | None) -> Signal:
        """Return what its sender says about it."""
        labels = {"alertname": self.name, "service": self.service, **self.labels}
        source = REPORT if self.by_person else "prometheus"
        ends_at = None if self.by_person else ends_at
        return Signal(self.fingerprint, source, self.name, starts_at, labels, {}, ends_at, key="k")

    @property
    def fingerprint(self) -> str:
        """Return what identifies its alert."""
        return f"{self.service}-{self.name}"


class Setting(msgspec.Struct, frozen=True):
    """One world before anything happens. ``process_clocks_off_s`` has an entry for each process."""

    policy: Policy
    directory: Directory
    tuning: Tuning
    conditions: tuple[Condition, ...]
    process_clocks_off_s: tuple[float, ...]

    def with_holder(self, role: str, person: str) -> Setting:
        """Return the same world where one role is held by somebody else alone."""
        roles = {**self.directory.roles, role_key(role): (person,)}
        directory = msgspec.structs.replace(self.directory, roles=roles)
        return msgspec.structs.replace(self, directory=directory)


def draw_setting(rng: Random, policies: Sequence[Policy]) -> Setting:
    """Return a world by chance. Half of them keep a policy as it is; the others bend it."""
    policy = _trimmed(rng.choice(policies))
    if rng.random() < 0.5:
        policy = _bent(rng, policy)
    levels = [severity.level for severity in policy.severities] or ["P1"]
    services = _SERVICES[: rng.randint(1, len(_SERVICES))]
    conditions = []
    for service in services:
        for title in rng.sample(_TITLES, rng.randint(1, 3)):
            labels = {"severity": rng.choice(levels)} if rng.random() < 0.8 else {}
            if rng.random() < 0.05:
                labels["category"] = "security_breach"
            conditions.append(Condition(title, service, labels, rng.random() < 0.1))
    return Setting(
        policy=policy,
        directory=_directory(rng, policy),
        tuning=Tuning(
            repeat_every_s=rng.choice((0, 600, 900, 3600)),
            stability_s=rng.choice((60, 900, 3600)),
        ),
        conditions=tuple(conditions),
        process_clocks_off_s=tuple(
            rng.choice((0.0, 0.0, -0.7, -90.0)) for _ in range(rng.randint(1, 3))
        ),
    )


def _trimmed(policy: Policy) -> Policy:
    """Return what of a policy decides whom to wake: a scenario has to be read by people."""
    return msgspec.structs.replace(policy, plays=(), postmortem=None, sources=(), checklists=())


def _bent(rng: Random, policy: Policy) -> Policy:
    levels = [severity.level for severity in policy.severities]
    rules = [_bend(rng, rule, levels) for rule in policy.escalations if rng.random() > 0.15]
    for _ in range(rng.randint(0, 2)):
        # Documents say two things on one line, and the same thing on two.
        line = (
            rng.choice(rules).source.line if rules and rng.random() < 0.5 else rng.randint(1, 300)
        )
        rules.append(_any_rule(rng, levels, line))
    kept = tuple(rule for rule in policy.communications if rng.random() > 0.2)
    return msgspec.structs.replace(
        policy,
        revision=f"{policy.revision[:12]}/bent",
        escalations=tuple(rules),
        communications=kept,
    )


def _bend(rng: Random, rule: EscalationRule, levels: Sequence[str]) -> EscalationRule:
    replace = msgspec.structs.replace
    match rng.randrange(6):
        case 0:
            return _timed(rng, rule)
        case 1 if len(rule.to) > 1:
            return replace(rule, to=tuple(rng.sample(rule.to, rng.randint(1, len(rule.to)))))
        case 2:
            return replace(rule, to=tuple(dict.fromkeys((*rule.to, rng.choice(_EXTRA_ROLES)))))
        case 3 if rule.severity:
            some = set(rng.sample(levels, rng.randint(1, len(levels)))) if levels else set()
            return replace(rule, severity=tuple(level for level in levels if level in some))
        case 4:
            return replace(rule, urgency=rng.choice(tuple(Urgency)))
        case _:
            return rule


def _timed(rng: Random, rule: EscalationRule) -> EscalationRule:
    after_s = rng.choice(_DELAYS_S)
    if rule.clock is Clock.EVENT:
        return msgspec.structs.replace(rule, after_s=after_s)
    clock = rng.choice((Clock.UNRESOLVED, Clock.UNACKNOWLEDGED)) if after_s else Clock.IMMEDIATE
    return msgspec.structs.replace(rule, after_s=after_s, clock=clock)


def _any_rule(rng: Random, levels: Sequence[str], line: int) -> EscalationRule:
    some = set(rng.sample(levels, rng.randint(1, len(levels)))) if levels else set()
    return _timed(
        rng,
        EscalationRule(
            severity=tuple(level for level in levels if level in some),
            clock=Clock.IMMEDIATE,
            after_s=0,
            to=tuple(rng.sample(_EXTRA_ROLES, rng.randint(1, 2))),
            source=Source("runbook.md", line, "a rule that chance wrote"),
            urgency=rng.choice((Urgency.PAGE, Urgency.PAGE, Urgency.NOTICE)),
        ),
    )


def _directory(rng: Random, policy: Policy) -> Directory:
    people = {}
    for name in _NAMES[: rng.randint(2, len(_NAMES))]:
        kinds = rng.sample(("slack", "email", "webhook"), rng.randint(0, 3))
        contacts = tuple(Contact(kind, f"{name}@{kind}") for kind in kinds)
        people[name] = Person(name, name.title(), contacts)
    wanted = dict.fromkeys(role for rule in policy.escalations for role in rule.to)
    roles = {}
    for role in wanted:
        holders = rng.sample(sorted(people), min(len(people), rng.choice((0, 1, 1, 1, 2))))
        if holders:
            roles[role_key(role)] = tuple(holders)
    team = (Contact("email", "team@email"),)
    return Directory(
        people=people,
        roles=roles,
        audiences={"team": team} if rng.random() < 0.7 else {},
        channels={role_key("#incidents"): Contact("slack", "C1")} if rng.random() < 0.7 else {},
    )
