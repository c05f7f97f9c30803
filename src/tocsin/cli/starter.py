"""What ``tocsin init`` writes: a small runbook that pages, and the settings that say whom."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from tocsin.core.policy import Policy
from tocsin.core.surroundings import role_key

RUNBOOK = """\
# Incident runbook

Tocsin runs this document. Change any line, then ask `tocsin check` what it makes of it.

## Severity levels

### P0 - Critical

- The service is completely down
- Data is lost or corrupted
- Somebody broke into our systems

### P1 - High

- Part of the service does not work
- Many users notice that it is slow

### P2 - Medium

- A feature that few need does not work

### P3 - Low

- A cosmetic flaw

## Process

### 1. Detection

- Alerts of our monitoring
- Reports by users

### 2. Triage

1. Acknowledge the incident
2. Assess its severity
3. Notify the team

### 3. Investigation

1. Find out what changed recently
2. Find the cause

### 4. Resolution

1. Put the fix in place
2. Verify that it is resolved
3. Monitor for stability

### 5. Afterwards

1. Write the post-mortem

## Scenarios

### Scenario 1: Nothing answers

**Symptoms:**

- Every request fails with a 500
- Health checks fail

**Response:**

1. Check the pods: `kubectl get pods -n production`
2. Check the logs: `kubectl logs deployment/web --tail=100 -n production`
3. Restart the service if the pods are stuck
4. Verify that requests succeed again

**Commands:**

```bash
# Restart the service
kubectl rollout restart deployment/web -n production
```

## Communication

### Internal

- **Slack**: #incidents
- **Email**: notify the team for P0/P1 incidents

## Escalation

### Escalation path

1. **On-call engineer**: first response
2. **Team lead**: for P0, P1 and P2 incidents

### Escalation criteria

- P0: page the on-call engineer and the team lead immediately
- P1: page the team lead if not resolved in 1 hour
- P2: page the team lead if not resolved in 4 hours
- P3: page the on-call engineer if not resolved in 24 hours

## Post-mortem

### Template

1. **Summary**
   - What happened?
   - Who noticed, and how?
2. **Timeline**
3. **Root cause**
4. **What we will change**

### Action items

- [ ] Remove the cause
- [ ] Bring this runbook up to date
"""

_HEAD = """\
# Who and where: what the runbook beside this file cannot say. Every key here may be left out.

# Everybody who can be paged. Contacts are tried in order: email:<address>, slack:<user id>,
# webhook:<name>. Without contacts a person is paged in the app only.
"""
_ROLES = """\

# Who holds each role of the escalation path, in the words of the runbook.
[roles]
"""
_AUDIENCES = """\

# Whom the e-mail rules mean.
[audiences]
"""
_CHANNELS = """\

# The server that sends e-mail. As long as this is commented out, no mail leaves: `tocsin check`
# says so, and pages appear in the app only.
# [email]
# host = "mail.example.org"
# port = 587
# tls = "starttls"
# from = "tocsin@example.org"
# username = "tocsin"
# password = { env = "SMTP_PASSWORD" }

# Slack posts to a channel by its id, once there is a token. It stays in the environment.
[slack.channels]
"""
_LABELS = """\
# [slack]
# token = { env = "SLACK_TOKEN" }

# What the severity label of an alert means here.
[severity.labels]
"""
_TAIL = """\

# An unacknowledged page is repeated this often; "never" for once only.
[paging]
repeat_every = "5m"

# How long all must stay quiet before an incident counts as resolved.
[incidents]
stability = "15m"
"""

SETTINGS = f"""\
{_HEAD}[people.alex]
name = "Alex Example"
contacts = ["email:alex@example.org"]

[people.robin]
name = "Robin Example"
contacts = ["email:robin@example.org"]
{_ROLES}"On-call engineer" = ["alex"]
"Team lead" = ["robin"]
{_AUDIENCES}team = ["email:team@example.org"]
{_CHANNELS}"#incidents" = "C0000000000"
{_LABELS}critical = "P0"
warning = "P2"
{_TAIL}"""


def settings_for(policy: Policy) -> str:
    """Return settings with every role, audience and channel that a runbook names.

    One person stands for each role until a real one does; addresses are comments to fill in.
    """
    roles = _distinct(role for rule in policy.escalations for role in rule.to if "@" not in role)
    told = [rule for rule in policy.communications if rule.target and not rule.unknown_filter]
    audiences = _distinct(r.target or "" for r in told if r.channel == "email")
    channels = _distinct(r.target or "" for r in told if r.channel == "slack")
    ids = _ids(roles)
    text = _HEAD
    for role in roles:
        text += (
            f"[people.{ids[role]}]\nname = {_quoted(role)}\n"
            f'# contacts = ["email:{ids[role]}@example.org"]\n\n'
        )
    text = text.rstrip("\n") + "\n" + _ROLES
    text += "".join(f'{_quoted(role)} = ["{ids[role]}"]\n' for role in roles)
    text += _AUDIENCES
    for name in audiences:
        if "@" not in name:
            text += f'# {_quoted(name)} = ["email:{_slug(name) or "people"}@example.org"]\n'
    text += _CHANNELS
    text += "".join(f'# {_quoted(name)} = "C0000000000"\n' for name in channels)
    text += _LABELS
    levels = policy.severities
    if levels:
        text += f"# critical = {_quoted(levels[0].level)}\n"
        text += f"# warning = {_quoted(levels[len(levels) // 2].level)}\n"
    return text + _TAIL


def _distinct(words: Iterable[str]) -> list[str]:
    by_key: dict[str, str] = {}
    for word in words:
        by_key.setdefault(role_key(word), word)
    return list(by_key.values())


def _ids(roles: list[str]) -> dict[str, str]:
    ids: dict[str, str] = {}
    for number, role in enumerate(roles, start=1):
        slug = _slug(role)
        ids[role] = slug if slug and slug not in ids.values() else f"person-{number}"
    return ids


def _slug(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", words.casefold()).strip("-")


def _quoted(words: str) -> str:
    """Return words as a TOML string, which JSON's is but for DEL."""
    return json.dumps(words, ensure_ascii=False).replace("\x7f", "\\u007f")
