"""What the status of an HTTP answer means for a delivery, where a channel says nothing better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.integrations.wire import Delivered, Refused, Retry

if TYPE_CHECKING:
    from tocsin.integrations.wire import HttpResponse, Outcome

_TEMPORARY = frozenset((408, 425, 429))


def judge_status(response: HttpResponse, who: str) -> Outcome:
    """Return what the status alone says; ``who`` begins the sentence ("Slack")."""
    status = response.status
    if 200 <= status < 300:
        return Delivered()
    if status == 429:
        return Retry(retry_after_s(response), f"{who} takes no more for now (429).")
    if status in _TEMPORARY or status >= 500:
        return Retry(retry_after_s(response), f"{who} is in trouble itself ({status}).")
    if 300 <= status < 400:
        return Refused(f"{who} sends us to another address ({status}); redirects are not followed.")
    if status in (401, 403):
        return Refused(f"{who} does not accept our credentials ({status}).")
    if status in (404, 410):
        return Refused(f"{who} no longer has this address ({status}).")
    return Refused(f"{who} refuses the message ({status}).")


def retry_after_s(response: HttpResponse) -> float | None:
    """Return the seconds of ``Retry-After``, or None if it is missing or anything but seconds.

    A date there would need a clock that agrees with the sender's; the courier's own back-off does.
    """
    text = response.headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
