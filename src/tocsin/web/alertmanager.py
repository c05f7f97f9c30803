"""The Alertmanager v2 API, so that Prometheus, Grafana and amtool need not know who they talk to.

The same routes stand under ``/`` (credentials in headers) and under ``/in/<key>/``. Answers and
refusals are those of Alertmanager 0.25, except where the promise of Tocsin is greater: one bad
alert does not lose its siblings.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import re2
from fastapi import APIRouter, Query, Request, Response
from msgspec.structs import replace

from tocsin.core.surroundings import EXPRESSION_OPTIONS, Matcher, Silence
from tocsin.integrations.inbound.alertmanager import read_alerts
from tocsin.integrations.signals import NotJson
from tocsin.store import alerts, silences
from tocsin.web.admission import admitted
from tocsin.web.bodies import Json, read_body
from tocsin.web.context import Context, context_of
from tocsin.web.door import door_of
from tocsin.web.errors import Problem
from tocsin.web.guard import Scope, allow, caller_of

if TYPE_CHECKING:
    from tocsin.store.alerts import AlertRow
    from tocsin.store.silences import SilenceRow

RECEIVER: Final = "tocsin"
SPOKEN_VERSION: Final = "0.25.0"
"""The Alertmanager whose API this is; clients compare it with their own."""
_CONFIG: Final = f"""\
global:
  resolve_timeout: 5m
route:
  receiver: {RECEIVER}
  group_by:
  - service
  continue: false
receivers:
- name: {RECEIVER}
templates: []
"""
_MATCHER = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_FILTERS_MAX = 50
_MATCHERS_MAX = 100

router = APIRouter(tags=["Alertmanager"])

_Filters = Annotated[list[str], Query(alias="filter", description='Such as service="api".')]


# -- Alerts ----------------------------------------------------------------------------------------


@router.post("/api/v2/alerts", **allow(Scope.INGEST), summary="Send alerts, firing or resolved.")
async def post_alerts(request: Request) -> Response:
    """Answer 200 once the alerts are durable.

    An alert that means nothing is set aside with its bytes and its siblings are kept; only when
    every one is bad does the sender hear 400.
    """
    context = context_of(request)
    async with admitted(request):
        body = await read_body(request)
        try:
            batch = read_alerts(body, context.clock.now(), caller_of(request).name)
        except NotJson as error:
            raise Problem(400, f"The body is not a JSON array of alerts: {error}.") from error
        if batch.signals or batch.rejected:
            await context.engine.receive(batch)
    if batch.rejected and not batch.signals:
        raise Problem(400, batch.rejected[0].why)
    return Response(status_code=200)


@router.get(
    "/api/v2/alerts",
    **allow(Scope.INGEST, Scope.READ),
    summary="List the alerts that fire now, as Alertmanager does.",
)
async def get_alerts(
    request: Request,
    filters: _Filters = [],  # noqa: B006 - FastAPI copies defaults
    active: str = "true",
    silenced: str = "true",
    inhibited: str = "true",
    unprocessed: str = "true",
    receiver: str = "",
) -> Response:
    """Return firing alerts. Nothing is ever inhibited or unprocessed here."""
    found = await _firing(request, filters, _yes(active), _yes(silenced), receiver)
    return Response(b"[%b]" % b",".join(alert for _, alert in found), media_type=Json.media_type)


@router.get(
    "/api/v2/alerts/groups",
    **allow(Scope.INGEST, Scope.READ),
    summary="List the alerts that fire now by service.",
)
async def get_alert_groups(
    request: Request,
    filters: _Filters = [],  # noqa: B006 - FastAPI copies defaults
    active: str = "true",
    silenced: str = "true",
    inhibited: str = "true",
    receiver: str = "",
) -> Response:
    """Return firing alerts grouped by the service they are about, each service in its place."""
    found = await _firing(request, filters, _yes(active), _yes(silenced), receiver)
    groups: dict[str, list[msgspec.Raw]] = {}
    for service, alert in found:
        groups.setdefault(service, []).append(msgspec.Raw(alert))
    return Json(
        [
            {"alerts": group, "labels": {"service": service}, "receiver": {"name": RECEIVER}}
            for service, group in sorted(groups.items())
        ]
    )


async def _firing(
    request: Request, filters: Sequence[str], active: bool, silenced: bool, receiver: str
) -> list[tuple[str, bytes]]:
    """Return firing alerts that pass every filter, each with its service, as it is answered.

    A storm takes seconds to write down, and everybody else would wait for it.
    """
    matchers = _filters(filters)
    if receiver and not _receives(receiver):
        return []
    context = context_of(request)
    at = context.clock.now()

    def passing(rows: Sequence[AlertRow]) -> list[tuple[str, bytes]]:
        passed = []
        for row in rows:
            labels = row.record.signal.labels
            if not all(matcher.matches(labels) for matcher in matchers):
                continue
            by = [silence.id for silence in quiet if silence.mutes(labels, at)]
            if silenced if by else active:
                passed.append((row.service, msgspec.json.encode(_alert(row, by))))
        return passed

    found: list[tuple[str, bytes]] = []
    async with door_of(request.app).listing, context.database.transaction() as connection:
        quiet = await silences.active(connection, at)
        async for rows in alerts.firing(connection):
            found += await asyncio.to_thread(passing, rows)
    return found


def _alert(row: AlertRow, silenced_by: list[str]) -> dict[str, object]:
    signal = row.record.signal
    said: dict[str, object] = {
        "annotations": signal.annotations,
        "endsAt": _moment(signal.ends_at or row.updated_at),
        "fingerprint": signal.fingerprint,
        "receivers": [{"name": RECEIVER}],
        "startsAt": _moment(signal.starts_at),
        "status": {
            "inhibitedBy": [],
            "silencedBy": silenced_by,
            "state": "suppressed" if silenced_by else "active",
        },
        "updatedAt": _moment(row.updated_at),
        "labels": signal.labels,
    }
    if signal.url:
        said["generatorURL"] = signal.url
    return said


# -- Silences --------------------------------------------------------------------------------------


class _PostedMatcher(msgspec.Struct, rename="camel"):
    name: str
    value: str
    is_regex: bool
    is_equal: bool | None = None


class _PostedSilence(msgspec.Struct, rename="camel"):
    matchers: list[_PostedMatcher]
    starts_at: datetime
    ends_at: datetime
    created_by: str
    comment: str
    id: str | None = None


_POSTED = msgspec.json.Decoder(_PostedSilence)


@router.get(
    "/api/v2/silences",
    **allow(Scope.READ, Scope.SILENCE),
    summary="List silences, also ended ones.",
)
async def get_silences(
    request: Request,
    filters: _Filters = [],  # noqa: B006 - FastAPI copies defaults
) -> Response:
    """Return silences that a filter could mean: active ones by their end, then pending, then over."""
    matchers = _filters(filters)
    context = context_of(request)
    at = context.clock.now()
    async with context.database.reading() as connection:
        rows = await silences.find(connection)
    found = [row for row in rows if _concerns(row.silence, matchers)]
    places = {"active": 0, "pending": 1, "expired": 2}
    found.sort(key=lambda row: (places[_silence_state(row.silence, at)], row.silence.ends_at))
    return Json([_silence(row, at) for row in found])


@router.post("/api/v2/silences", **allow(Scope.SILENCE), summary="Silence alerts for a time.")
async def post_silence(request: Request) -> Response:
    """Store a silence, or change one by its id, and answer ``{"silenceID": ...}``.

    As in Alertmanager a silence never begins in the past, and other matchers make another silence.
    """
    context = context_of(request)
    at = context.clock.now()
    silence, known_id = _read_silence(await read_body(request), at)
    known = None
    if known_id:
        known = await _find_silence(context, known_id)
        if known is None:
            raise Problem(404, "silence not found")
    fresh = _silence_id(context)
    if known is not None and known.silence.ends_at > at:
        began = known.silence.starts_at <= at
        if known.silence.matchers == silence.matchers:
            starts_at = known.silence.starts_at if began else silence.starts_at
            silence = replace(silence, id=known.silence.id, starts_at=starts_at)
        else:
            await context.engine.silence(replace(silence, id=fresh))
            await context.engine.unsilence(known.silence.id)
            return Json({"silenceID": fresh})
    else:
        silence = replace(silence, id=fresh)
    await context.engine.silence(silence)
    return Json({"silenceID": silence.id})


@router.get(
    "/api/v2/silence/{silence_id}", **allow(Scope.READ, Scope.SILENCE), summary="Show one silence."
)
async def get_silence(request: Request, silence_id: str) -> Response:
    """Return one silence, or 404 with nothing, as Alertmanager does."""
    context = context_of(request)
    row = await _find_silence(context, silence_id)
    if row is None:
        return Response(status_code=404)
    return Json(_silence(row, context.clock.now()))


@router.delete("/api/v2/silence/{silence_id}", **allow(Scope.SILENCE), summary="End a silence now.")
async def delete_silence(request: Request, silence_id: str) -> Response:
    """End a silence; one that is over already stays as it is."""
    context = context_of(request)
    if await _find_silence(context, silence_id) is None:
        raise Problem(404, "silence not found")
    await context.engine.unsilence(silence_id)
    return Response(status_code=200)


def _read_silence(body: bytes, at: datetime) -> tuple[Silence, str | None]:
    """Return a silence without an id, and the id of the one it changes, if any."""
    try:
        posted = _POSTED.decode(body)
    except msgspec.ValidationError as error:
        raise Problem(422, f"The silence has the wrong shape: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"The body is not JSON: {error}") from error
    if b"\\u0000" in body:
        raise Problem(400, "silence invalid: it holds the character U+0000, which is no text")
    starts_at, ends_at = _span(posted, at)
    silence = Silence(
        id="",
        matchers=_matchers(posted),
        starts_at=starts_at,
        ends_at=ends_at,
        created_by=posted.created_by,
        comment=posted.comment,
    )
    return silence, posted.id or None


def _span(posted: _PostedSilence, at: datetime) -> tuple[datetime, datetime]:
    """Return when a silence begins, never before now, and when it ends."""
    if posted.starts_at.tzinfo is None or posted.ends_at.tzinfo is None:
        raise Problem(400, "Failed to create silence: a time has no zone")
    try:
        starts_at, ends_at = (m.astimezone(UTC) for m in (posted.starts_at, posted.ends_at))
    except OverflowError as error:
        raise Problem(400, "Failed to create silence: a time is out of range") from error
    if starts_at >= ends_at:
        raise Problem(400, "Failed to create silence: start time must be before end time")
    if ends_at <= at:
        raise Problem(400, "Failed to create silence: end time can't be in the past")
    return max(starts_at, at), ends_at


def _matchers(posted: _PostedSilence) -> tuple[Matcher, ...]:
    if not 0 < len(posted.matchers) <= _MATCHERS_MAX:
        raise Problem(422, f"matchers in body should have 1 to {_MATCHERS_MAX} items")
    matchers = tuple(
        Matcher(m.name, m.value, m.is_regex, m.is_equal is not False) for m in posted.matchers
    )
    for place, matcher in enumerate(matchers):
        why = _regex_fault(matcher)
        if why:
            raise Problem(400, f"silence invalid: invalid label matcher {place}: {why}")
    if all(matcher.matches({}) for matcher in matchers):
        raise Problem(400, "silence invalid: at least one matcher must not match the empty string")
    return matchers


async def _find_silence(context: Context, silence_id: str) -> SilenceRow | None:
    if "\0" in silence_id:
        return None
    async with context.database.reading() as connection:
        return await silences.get(connection, silence_id)


def _silence_id(context: Context) -> str:
    """Return a fresh id in the form of a UUID, which Alertmanager's clients insist on."""
    digest = hashlib.sha256(context.ids.secret().encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=4))


def _silence(row: SilenceRow, at: datetime) -> dict[str, object]:
    silence = row.silence
    return {
        "id": silence.id,
        "status": {"state": _silence_state(silence, at)},
        "updatedAt": _moment(row.updated_at),
        "comment": silence.comment,
        "createdBy": silence.created_by,
        "endsAt": _moment(silence.ends_at),
        "matchers": [
            {"isEqual": m.is_equal, "isRegex": m.is_regex, "name": m.name, "value": m.value}
            for m in silence.matchers
        ],
        "startsAt": _moment(silence.starts_at),
    }


def _silence_state(silence: Silence, at: datetime) -> str:
    if silence.ends_at <= at:
        return "expired"
    return "pending" if silence.starts_at > at else "active"


def _concerns(silence: Silence, matchers: Iterable[Matcher]) -> bool:
    """Say whether a silence mentions what the filters ask for, judged by its own equalities."""
    labels = {m.name: m.value for m in silence.matchers}
    return all(matcher.matches(labels) for matcher in matchers)


# -- About the server ------------------------------------------------------------------------------


@router.get(
    "/api/v2/receivers", **allow(Scope.INGEST, Scope.READ), summary="List the one receiver."
)
async def get_receivers() -> Response:
    """Return our only receiver: who is told is the runbook's business, not the sender's."""
    return Json([{"name": RECEIVER}])


@router.get(
    "/api/v2/status",
    **allow(Scope.INGEST, Scope.READ, Scope.SILENCE),
    summary="Say what server this is, in Alertmanager's words.",
)
async def get_status(request: Request) -> Response:
    """Return what amtool asks for before most of its commands."""
    context = context_of(request)
    return Json(
        {
            "cluster": {"peers": [], "status": "disabled"},
            "config": {"original": _CONFIG},
            "uptime": _moment(context.started_at),
            "versionInfo": {
                "branch": "tocsin",
                "buildDate": "",
                "buildUser": "",
                "goVersion": "",
                "revision": f"tocsin-{context.version}",
                "version": SPOKEN_VERSION,
            },
        }
    )


# -- Words of the protocol -------------------------------------------------------------------------


def _filters(texts: Sequence[str]) -> list[Matcher]:
    if len(texts) > _FILTERS_MAX:
        raise Problem(400, f"more than {_FILTERS_MAX} filters")
    return [parse_matcher(text) for text in texts]


def parse_matcher(text: str) -> Matcher:
    """Return the matcher that ``text`` spells: ``name="value"``, with =, !=, =~ or !~.

    The quotes may be left out. Raises Problem 400 for what is no matcher.
    """
    whole = _MATCHER.fullmatch(text)
    if whole is None:
        raise Problem(400, f"bad matcher format: {text[:200]}")
    name, operator, value = whole.groups()
    if value.startswith('"'):
        quoted = _QUOTED.fullmatch(value)
        if quoted is None:
            raise Problem(400, f"bad matcher format: {text[:200]}")
        value = _ESCAPED.sub(lambda m: "\n" if m[1] == "n" else m[1], quoted[1])
    matcher = Matcher(name, value, "~" in operator, operator in ("=", "=~"))
    why = _regex_fault(matcher)
    if why:
        raise Problem(400, why)
    return matcher


def _regex_fault(matcher: Matcher) -> str:
    if not matcher.is_regex:
        return ""
    try:
        re2.compile(matcher.value, EXPRESSION_OPTIONS)
    except re2.error as error:
        why = error.args[0] if error.args else b""
        detail = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        return f"error parsing regexp: {detail}"
    return ""


def _receives(pattern: str) -> bool:
    fault = _regex_fault(Matcher("receiver", pattern, is_regex=True))
    if fault:
        raise Problem(400, f"failed to parse receiver param: {pattern[:200]}")
    return Matcher("receiver", pattern, is_regex=True).matches({"receiver": RECEIVER})


def _yes(flag: str) -> bool:
    return flag.lower() in ("true", "1", "yes", "ok", "y", "on", "selected", "checked", "t")


def _moment(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
