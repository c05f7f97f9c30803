"""The media of communication, by the words for them, and the addresses beside those words."""

from __future__ import annotations

import re

_CHANNELS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (channel, re.compile(pattern, re.IGNORECASE))
    for channel, pattern in (
        (
            "status_page",
            r"status[ -]?page|statuspage|\bstatus site\b|(?<![\w.@-])status\.[a-z][\w-]*\.[a-z]{2,}",
        ),
        ("slack", r"\bslack\b|(?<![\w/&])#[a-z][\w-]*"),
        ("teams", r"\b(?:ms |microsoft )?teams (?:channel|chat)|\b(?:microsoft|ms) teams\b"),
        ("email", r"e-?mails?\b|mailing list|[\w.+-]+@[\w-]+\.\w+"),
        ("x", r"\btwitter\b|\btweet\w*\b|\bX\b(?= ?[:(]|$)|social media|@[a-z]\w+ on x\b"),
        ("sms", r"\bsms\b|text messages?\b"),
        (
            "phone",
            r"\bphone\b|(?<![\w-])call\b(?![- ]?(?:center|rota))|conference bridge|\bbridge\b",
        ),
        (
            "other",
            r"pager ?duty|opsgenie|discord|mattermost|\bzoom\b|google meet|intercom|war room|in-app"
            r"|banner|\bjira\b|webhook|\bgoogle chat\b|zulip",
        ),
    )
)
# "The status page", "Conference bridge": an article, or the first word of a name of two.
_OPENING = 4
_CHANNEL_NAME = re.compile(r"(?<![\w/&])#[a-z][\w-]*", re.IGNORECASE)
# A pattern to fill in, such as "#incident-YYYY-MM-DD", is nobody's address.
_BLANK_NAME = re.compile(r"YYYY|MM-DD|-N$|-XXX?|-NNN|-ID$|-id$|-<|-\{|-\[|-\d{4}-", re.ASCII)
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]*\w")
_AUDIENCE = re.compile(
    r"\b(?:notify|inform|tell|tells|message|write to|reach|reaches|goes to|sent to|send to|mail to|update)\s+"
    r"(?:(?:all|the|our|affected|every)\s+)*"
    r"(?P<who>(?!(?:for|during|on|in|when|about|as|if|with|at|every|by|via|through)\b)[a-z][\w-]*(?:\s+(?!(?:for|during|on|in|when"
    r"|about|as|if|by|via|with|every|at|of|and|or|only)\b)[a-z][a-z-]*(?!\w))?)",
    re.IGNORECASE,
)


def channel_of(words: str) -> str | None:
    """Return the channel that is named first: "E-mail: link to the status page" is an e-mail."""
    hits = _hits(words)
    return hits[0][1] if hits else None


def channels_in(words: str) -> tuple[str, ...]:
    """Return all channels that these words name, in their order, each once."""
    return tuple(dict.fromkeys(name for _, name in _hits(words)))


def begins_with_channel(words: str) -> bool:
    """Say whether these words open with a channel: "In-app banner for P0"."""
    hits = _hits(words.lstrip("*_` "))
    return bool(hits) and hits[0][0] <= _OPENING


def target_of(words: str, channel: str) -> str | None:
    """Return whom the words name on that channel: a channel, an address, an audience, or None."""
    if channel == "slack":
        names = (found[0] for found in _CHANNEL_NAME.finditer(words))
        return next((name for name in names if not _BLANK_NAME.search(name)), None)
    if channel in ("email", "sms", "phone", "teams"):
        if address := _ADDRESS.search(words):
            return address[0]
        if who := _AUDIENCE.search(words):
            return who["who"]
    return None


def _hits(words: str) -> list[tuple[int, str]]:
    if not words:
        return []
    found = [(m.start(), name) for name, pattern in _CHANNELS if (m := pattern.search(words))]
    return sorted(found)
