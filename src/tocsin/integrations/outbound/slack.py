"""Slack: ``chat.postMessage`` with a bot token, or an incoming webhook where a channel has one.

    slack:U024BE7LH     a person's direct message      slack:C024BE91L    a channel
    slack:#incidents    a channel by its name, or by its webhook in [slack.channels]

Text from outside is escaped and sent as verbatim mrkdwn, so that neither a mention nor a link can
be made of it. Links are not unfurled: nobody but a person is to look at an acknowledgement link.
"""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

import msgspec

from tocsin.core.effects import Topic
from tocsin.integrations.answers import judge_status, retry_after_s
from tocsin.integrations.wire import Delivered, HttpRequest, NotConfigured, Refused, Retry
from tocsin.integrations.wording import one_line, words_of

if TYPE_CHECKING:
    from tocsin.core.effects import Message
    from tocsin.core.surroundings import Contact
    from tocsin.integrations.wire import Credentials, HttpResponse, Links, Outcome

_SECTION_CHARS_MAX = 2900  # Slack cuts a section at 3,000.
_ERROR_CODE = re.compile(r"[a-z_]{1,60}")
_TEMPORARY = frozenset(
    {
        "accesslimited",
        "external_channel_migrating",
        "fatal_error",
        "internal_error",
        "rate_limited",
        "ratelimited",
        "request_timeout",
        "rollup_error",
        "service_unavailable",
        "team_added_to_org",
        "timeout",
    }
)
_SENTENCE_BY_ERROR = {
    "account_inactive": "The Slack account of our token is switched off. Set [slack] token anew.",
    "channel_is_archived": "The channel is archived.",
    "channel_not_found": "Slack knows no channel or person with this address.",
    "invalid_auth": "Slack does not accept our token. Check [slack] token.",
    "is_archived": "The channel is archived.",
    "missing_scope": "Our Slack token may not post. It needs the scope chat:write.",
    "no_service": "The Slack webhook was removed. Make a new one for [slack.channels].",
    "not_authed": "Slack saw no token. Check [slack] token.",
    "not_in_channel": "Our Slack bot is not in the channel. Invite it there.",
    "token_expired": "Our Slack token has expired. Set [slack] token anew.",
    "token_revoked": "Our Slack token was revoked. Set [slack] token anew.",
    "user_not_found": "Slack knows no person with this address.",
}


class Slack:
    """The integration that serves contacts of the kind "slack"."""

    kind = "slack"

    def request(
        self,
        message: Message,
        contact: Contact,
        links: Links,
        credentials: Credentials,
        key: str,
        timestamp_s: int,
    ) -> HttpRequest:
        """Return the post of a message. Raises NotConfigured without a webhook and a token."""
        payload = _payload(message, links)
        webhook = credentials.slack.webhooks.get(contact.address)
        if webhook is not None:
            if not webhook:
                raise NotConfigured(
                    f"The webhook of {one_line(contact.address, 80)} in [slack.channels] is not set."
                )
            return _post(webhook.reveal(), payload)
        if not credentials.slack.token:
            raise NotConfigured("Slack is not connected: [slack] token is not set.")
        payload |= {
            "channel": contact.address,
            "client_msg_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{links.room}#{key}")),
            "metadata": {"event_type": "tocsin_delivery", "event_payload": {"delivery": key}},
        }
        return _post(
            f"{credentials.slack.api_url.rstrip('/')}/chat.postMessage",
            payload,
            ("Authorization", f"Bearer {credentials.slack.token.reveal()}"),
        )

    def outcome(self, response: HttpResponse) -> Outcome:
        """Return what Slack's answer means.

        The API answers 200 with ``ok`` false where it refuses; a webhook answers with a status and
        a bare word.
        """
        word = response.body[:200].decode("utf-8", "replace").strip()
        if response.status != 200:
            return _judge_error(word, response) or judge_status(response, "Slack")
        if word == "ok":
            return Delivered()
        try:
            answer = msgspec.json.decode(response.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            answer = None
        if not isinstance(answer, dict) or "ok" not in answer:
            return Retry(None, "Something answered that is not Slack. Check [slack] api_url.")
        if answer["ok"] is True:
            return Delivered(one_line(str(answer.get("ts", "")), 40))
        error = str(answer.get("error", ""))
        return _judge_error(error, response) or Refused("Slack refuses the message.")


SLACK = Slack()


def escape(text: str) -> str:
    """Return text in which Slack sees no mention, no link and no entity."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _judge_error(error: str, response: HttpResponse) -> Outcome | None:
    """Return what one of Slack's own error words means, or None if it is not one of them."""
    if not _ERROR_CODE.fullmatch(error):
        return None
    if error in _TEMPORARY or response.status == 429 or response.status >= 500:
        return Retry(retry_after_s(response), f"Slack cannot take it now ({error}).")
    return Refused(_SENTENCE_BY_ERROR.get(error, f"Slack refuses the message ({error})."))


def _payload(message: Message, links: Links) -> dict[str, Any]:
    words = words_of(message)
    lines = [*words.facts]
    if words.citation:
        lines.append(words.citation)
    ask = message.topic is Topic.PAGE and links.acknowledge
    head = f"*{escape(words.subject)}*"
    if ask:
        head = f"{_link(links.acknowledge, 'Acknowledge')}\n{head}"
    body = "\n".join(escape(line) for line in lines)
    if links.acknowledge and not ask:
        body += f"\n{_link(links.acknowledge, 'Acknowledge')}"
    if not message.external:
        body += f"\n{_link(links.room, 'Open the incident room')}"
    return {
        "text": escape(f"{words.subject}. {lines[0]}" if lines else words.subject),
        "blocks": [_section(head), _section(body)],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def _section(text: str) -> dict[str, Any]:
    return {
        "type": "section",
        "text": {"type": "mrkdwn", "text": text[:_SECTION_CHARS_MAX], "verbatim": True},
    }


def _link(url: str, label: str) -> str:
    safe = url.replace("<", "%3C").replace(">", "%3E").replace("|", "%7C")
    return f"<{safe.replace('&', '&amp;')}|{label}>"


def _post(url: str, payload: dict[str, Any], *headers: tuple[str, str]) -> HttpRequest:
    fixed = (("Content-Type", "application/json; charset=utf-8"),)
    return HttpRequest("POST", url, (*fixed, *headers), msgspec.json.encode(payload))
