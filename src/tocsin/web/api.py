"""Our own API under ``/api/v1``: incidents, what happened to them, what will, and what people do."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse

from tocsin.core import inputs
from tocsin.core.narrate import narrate
from tocsin.core.phases import Phase
from tocsin.core.timers import upcoming
from tocsin.integrations.inbound.report import read_report
from tocsin.integrations.signals import NotJson
from tocsin.reports.postmortem import draft
from tocsin.runbook import to_json
from tocsin.store import access, alerts, deliveries, incident_alerts, incidents, journal
from tocsin.web import shapes
from tocsin.web.admission import admitted
from tocsin.web.bodies import Json, read_body, read_shape
from tocsin.web.context import Context, context_of
from tocsin.web.errors import Problem
from tocsin.web.guard import Scope, allow, caller_of
from tocsin.web.openapi import says

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from tocsin.core.policy import Finding, Policy
    from tocsin.core.state import IncidentState

ROWS_MAX: Final = 500
ALERTS_LISTED_MAX: Final = 20
TITLE_CHARACTERS_MAX: Final = 200
TEXT_CHARACTERS_MAX: Final = 10_000
SIGN_IN_LASTS: Final = timedelta(minutes=15)
_DECIDED_WITHIN_S: Final = 2.0
_LOOK_EVERY_S: Final = 0.02
_VIA: Final = "the API"

_Found = TypeVar("_Found")
_Limit = Annotated[int, Query(ge=1, le=ROWS_MAX, description="How many at most.")]

router = APIRouter(prefix="/api/v1")


# -- Incidents -------------------------------------------------------------------------------------


@router.get(
    "/incidents",
    **says(allow(Scope.READ), shapes.IncidentList, also=(422,)),
    tags=["Incidents"],
    summary="List incidents: open first, worst first.",
)
async def get_incidents(
    request: Request,
    phase: Annotated[list[str], Query(description="Only these phases; may be repeated.")] = [],  # noqa: B006 - FastAPI copies defaults
    severity: Annotated[str, Query(description="Only this level.")] = "",
    service: Annotated[str, Query(description="Only this service.")] = "",
    limit: _Limit = 100,
) -> Response:
    """Return incidents, open and over; an empty filter filters nothing."""
    phases = [_phase(word) for given in phase for word in given.split(",") if word.strip()]
    _refuse_nul(severity, service)
    context = context_of(request)
    level = context.book.current.policy.severity(severity) if severity else None
    async with context.database.reading() as connection:
        found = await incidents.find(
            connection,
            phases=phases,
            severity=level.level if level else severity,
            service=service,
            limit=limit,
        )
        held = await incident_alerts.find_each(connection, [s.id for s in found], ALERTS_LISTED_MAX)
    answers = (shapes.incident_answer(state, held[state.id]) for state in found)
    return Json(shapes.IncidentList(tuple(answers)))


@router.post(
    "/incidents",
    **says(allow(Scope.RESPOND), shapes.IncidentAnswer, hears=shapes.Declare, status=201),
    tags=["Incidents"],
    summary="Declare an incident.",
)
async def declare(request: Request) -> Response:
    """Open an incident, or join the open one of its service; answer what it is now."""
    context = context_of(request)
    said = await read_shape(request, shapes.Declare)
    title = _words(said.title, "title", TITLE_CHARACTERS_MAX)
    service = (said.service or "").strip() or f"unknown/{title}"
    _words(service, "service", TITLE_CHARACTERS_MAX * 2)
    policy = context.book.current.policy
    severity = _level(policy, said.severity) if said.severity is not None else None
    declared = inputs.IncidentDeclared(
        title=title,
        by=caller_of(request).name,
        severity=severity,
        security_breach=said.security_breach,
    )
    incident = await context.engine.declare(service, declared)
    state = await _eventually(lambda: _load(context, incident))
    if state is None:
        raise Problem(503, f"{incident} is declared and kept, but the database is slow to show it.")
    return await _answer(context, state, 201, {"Location": f"/api/v1/incidents/{incident}"})


@router.get(
    "/incidents/{incident}",
    **says(allow(Scope.READ), shapes.IncidentAnswer, also=(404,)),
    tags=["Incidents"],
    summary="Show one incident.",
)
async def get_incident(request: Request, incident: str) -> Response:
    """Return an incident with its alerts and pages."""
    context = context_of(request)
    return await _answer(context, await _known(context, incident))


@router.get(
    "/incidents/{incident}/timeline",
    **says(allow(Scope.READ), shapes.Timeline, also=(404,)),
    tags=["Incidents"],
    summary="Tell what happened, oldest first, with the runbook lines that decided it.",
)
async def get_timeline(request: Request, incident: str) -> Response:
    """Return the timeline of an incident."""
    context = context_of(request)
    state = await _known(context, incident)
    async with context.database.reading() as connection:
        recorded = await journal.read(connection, _stream(state.id))
    # That of a storm takes seconds to tell; everybody else would wait for it.
    return await asyncio.to_thread(_told, recorded)


def _told(recorded: Sequence[journal.Recorded]) -> Json:
    entries = narrate((entry.at, entry.event) for entry in recorded)
    return Json(shapes.Timeline(tuple(shapes.timeline_entry(entry) for entry in entries)))


@router.get(
    "/incidents/{incident}/upcoming",
    **says(allow(Scope.READ), shapes.UpcomingList, also=(404,)),
    tags=["Incidents"],
    summary="Tell what will happen next, when, and which line of the runbook says so.",
)
async def get_upcoming(request: Request, incident: str) -> Response:
    """Return what will happen to an incident if nobody does anything."""
    state = await _known(context_of(request), incident)
    return Json(
        shapes.UpcomingList(tuple(shapes.upcoming_entry(entry) for entry in upcoming(state)))
    )


@router.get(
    "/incidents/{incident}/postmortem",
    **says(allow(Scope.READ), shapes.PostmortemAnswer, also=(404,)),
    tags=["Incidents"],
    summary="Draft the post-mortem in the runbook's own template.",
)
async def get_postmortem(request: Request, incident: str) -> Response:
    """Return Markdown, or ``{"markdown": ...}`` to who accepts JSON and not Markdown."""
    context = context_of(request)
    state = await _known(context, incident)
    async with context.database.reading() as connection:
        recorded = await journal.read(connection, _stream(state.id))
        policy = await context.book.fetch(connection, state.revision)
    text = draft(
        policy,
        state,
        [(entry.at, entry.event) for entry in recorded],
        context.clock.now(),
    )
    accepted = request.headers.get("accept", "")
    if "application/json" in accepted and "text/markdown" not in accepted:
        return Json(shapes.PostmortemAnswer(text))
    return PlainTextResponse(text, media_type="text/markdown")


# -- What people do --------------------------------------------------------------------------------


@router.post(
    "/incidents/{incident}/acknowledge",
    **says(allow(Scope.RESPOND), shapes.IncidentAnswer, hears=shapes.Nothing, also=(404, 409)),
    tags=["Acts"],
    summary="Take the incident: pages stop repeating.",
)
async def acknowledge(request: Request, incident: str) -> Response:
    """Acknowledge the incident for everybody who was paged."""
    await read_shape(request, shapes.Nothing)
    by = caller_of(request).name
    return await _act(request, incident, inputs.Acknowledged(by=by, via=_VIA))


@router.post(
    "/incidents/{incident}/phase",
    **says(allow(Scope.RESPOND), shapes.IncidentAnswer, hears=shapes.MovePhase, also=(404, 409)),
    tags=["Acts"],
    summary="Move the incident to another phase.",
)
async def move_phase(request: Request, incident: str) -> Response:
    """Move an incident; the way to "resolved" is ``resolve``."""
    said = await read_shape(request, shapes.MovePhase)
    by = caller_of(request).name
    return await _act(request, incident, inputs.PhaseMoved(by=by, phase=_phase(said.phase)))


@router.post(
    "/incidents/{incident}/severity",
    **says(
        allow(Scope.RESPOND), shapes.IncidentAnswer, hears=shapes.ChooseSeverity, also=(404, 409)
    ),
    tags=["Acts"],
    summary="Grade the incident, with a reason; this outweighs what the runbook made of it.",
)
async def choose_severity(request: Request, incident: str) -> Response:
    """Set the severity. The ladder is planned again from the incident's start."""
    said = await read_shape(request, shapes.ChooseSeverity)
    context = context_of(request)
    because = _words(said.because, "because", TEXT_CHARACTERS_MAX)
    state = await _known(context, incident)
    async with context.database.reading() as connection:
        policy = await context.book.fetch(connection, state.revision)
    level = _level(policy, said.severity)
    by = caller_of(request).name
    return await _act(request, incident, inputs.SeverityChosen(by=by, level=level, because=because))


@router.post(
    "/incidents/{incident}/security-breach",
    **says(allow(Scope.RESPOND), shapes.IncidentAnswer, hears=shapes.Nothing, also=(404, 409)),
    tags=["Acts"],
    summary="Say that the incident is a security breach.",
)
async def declare_breach(request: Request, incident: str) -> Response:
    """Mark an incident as a security breach, which the runbook may escalate further."""
    await read_shape(request, shapes.Nothing)
    by = caller_of(request).name
    return await _act(request, incident, inputs.SecurityBreachDeclared(by=by))


@router.post(
    "/incidents/{incident}/notes",
    **says(allow(Scope.RESPOND), shapes.IncidentAnswer, hears=shapes.WriteNote, also=(404, 409)),
    tags=["Acts"],
    summary="Write on the timeline.",
)
async def write_note(request: Request, incident: str) -> Response:
    """Add words to the timeline, where the post-mortem finds them."""
    said = await read_shape(request, shapes.WriteNote)
    text = _words(said.text, "text", TEXT_CHARACTERS_MAX)
    by = caller_of(request).name
    return await _act(request, incident, inputs.NoteWritten(by=by, text=text))


@router.post(
    "/incidents/{incident}/resolve",
    **says(allow(Scope.RESPOND), shapes.IncidentAnswer, hears=shapes.GiveReason, also=(404, 409)),
    tags=["Acts"],
    summary="Say that it is over: nobody is paged any more.",
)
async def resolve(request: Request, incident: str) -> Response:
    """Resolve an incident."""
    because = await _read_reason(request)
    by = caller_of(request).name
    return await _act(request, incident, inputs.ResolvedByPerson(by=by, because=because))


@router.post(
    "/incidents/{incident}/reopen",
    **says(allow(Scope.RESPOND), shapes.IncidentAnswer, hears=shapes.GiveReason, also=(404, 409)),
    tags=["Acts"],
    summary="Say that it was not over: the clocks start again.",
)
async def reopen(request: Request, incident: str) -> Response:
    """Reopen a resolved incident."""
    because = await _read_reason(request)
    by = caller_of(request).name
    return await _act(request, incident, inputs.ReopenedByPerson(by=by, because=because))


# -- Around incidents ------------------------------------------------------------------------------


@router.get(
    "/deliveries",
    **says(allow(Scope.READ), shapes.DeliveryList, also=(422,)),
    tags=["Around"],
    summary="List pages and notices as they were sent, with the channel's answer.",
)
async def get_deliveries(
    request: Request,
    incident: Annotated[str, Query(description="Only of this incident.")] = "",
    limit: _Limit = 200,
) -> Response:
    """Return deliveries."""
    _refuse_nul(incident)
    context = context_of(request)
    async with context.database.reading() as connection:
        rows = await deliveries.find(connection, incident=incident, limit=limit)
    return Json(shapes.DeliveryList(tuple(shapes.delivery_answer(row) for row in rows)))


@router.get(
    "/pages",
    **says(allow(Scope.READ), shapes.PageList),
    tags=["Around"],
    summary="Show the in-app inbox: who is asked to acknowledge what.",
)
async def get_pages(request: Request) -> Response:
    """Return the pages of open incidents, also those of people without any contact."""
    context = context_of(request)
    async with context.database.reading() as connection:
        found = await incidents.find(connection, open_only=True, limit=ROWS_MAX)
    pages = (
        shapes.page_answer(state, name, page)
        for state in found
        for name, page in state.pages.items()
    )
    return Json(shapes.PageList(tuple(pages)))


@router.get(
    "/alerts",
    **says(allow(Scope.READ), shapes.AlertList, also=(422,)),
    tags=["Around"],
    summary="List alerts and where they were filed.",
)
async def get_alerts(
    request: Request,
    incident: Annotated[str, Query(description="Only of this incident.")] = "",
    firing: Annotated[bool, Query(description="Only what fires now.")] = False,
    limit: _Limit = ROWS_MAX,
) -> Response:
    """Return alerts, firing and ended, by service."""
    _refuse_nul(incident)
    context = context_of(request)
    async with context.database.reading() as connection:
        rows = await alerts.find(connection, firing_only=firing, incident=incident, limit=limit)
    return Json(shapes.AlertList(tuple(shapes.alert_answer(row) for row in rows)))


@router.post(
    "/reports",
    **says(
        allow(Scope.INGEST, Scope.RESPOND), shapes.ReportAnswer, hears=shapes.Report, status=202
    ),
    tags=["Around"],
    summary="Report what a user saw; it opens an incident or joins one.",
)
async def post_report(request: Request) -> Response:
    """Keep a report and answer which incident it belongs to, as soon as that is decided."""
    context = context_of(request)
    async with admitted(request):
        body = await read_body(request)
        try:
            batch = read_report(body, context.clock.now(), caller_of(request).name)
        except NotJson as error:
            raise Problem(400, f"The body is not a report: {error}.") from error
        if batch.rejected:
            raise Problem(
                422, f"{batch.rejected[0].why.rstrip('.')}.", 'Only "title" must be given.'
            )
        await context.engine.receive(batch)
    fingerprint = batch.signals[0].fingerprint
    incident = await _eventually(lambda: _filed_under(context, fingerprint))
    return Json(shapes.ReportAnswer(fingerprint, incident), 202)


@router.get(
    "/runbook",
    **says(allow(Scope.READ), shapes.RunbookAnswer),
    tags=["Around"],
    summary="Show the runbook in force and what Tocsin made of it.",
)
async def get_runbook(request: Request) -> Response:
    """Return the compiled runbook, its findings, and an edit that is refused, if there is one."""
    book = context_of(request).book
    compiled, refused = book.current, book.refused
    return Json(
        shapes.RunbookAnswer(
            title=compiled.policy.title,
            revision=compiled.policy.revision,
            findings=_findings(book.findings),
            ledger=dict(Counter(str(entry.status) for entry in compiled.ledger)),
            refused=None
            if refused is None
            else shapes.RefusedRunbook(refused.policy.revision, _findings(refused.findings)),
            policy=to_json(compiled),
        )
    )


# -- Access ----------------------------------------------------------------------------------------


@router.post(
    "/sign-in-links",
    **says(allow(Scope.ADMIN), shapes.SignInLink, hears=shapes.Nothing, status=201),
    tags=["Access"],
    summary="Make a link that signs a browser in, once.",
)
async def offer_sign_in_link(request: Request) -> Response:
    """Return a one-time link for somebody who joins."""
    await read_shape(request, shapes.Nothing)
    context = context_of(request)
    secret = context.ids.secret()
    async with context.database.transaction() as connection:
        expires_at = await context.database.now(connection) + SIGN_IN_LASTS
        await access.offer_link(connection, secret, expires_at)
    link = shapes.SignInLink(f"{context.public_url}/login/{secret}", expires_at)
    return Json(link, 201, {"Cache-Control": "no-store"})


# -- Shared steps ----------------------------------------------------------------------------------


async def _act(request: Request, incident: str, act: inputs.IncidentInput) -> Response:
    """Have a person's act decided and answer what the incident is now, or 409 with the refusal."""
    context = context_of(request)
    state = await _known(context, incident)
    refusal = await context.engine.act(state.id, act)
    if refusal:
        raise Problem(409, refusal)
    return await _answer(context, await _known(context, incident))


async def _answer(
    context: Context,
    state: IncidentState,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    async with context.database.reading() as connection:
        held = await incident_alerts.find(connection, state.id, ROWS_MAX)
    return Json(shapes.incident_answer(state, held), status, headers)


async def _known(context: Context, incident: str) -> IncidentState:
    state = await _load(context, incident)
    if state is None:
        raise Problem(
            404, f"There is no incident {incident[:40]}.", "GET /api/v1/incidents lists them."
        )
    return state


async def _load(context: Context, incident: str) -> IncidentState | None:
    if "\0" in incident:
        return None
    async with context.database.reading() as connection:
        return await incidents.get(connection, incident)


async def _filed_under(context: Context, fingerprint: str) -> str | None:
    """Return the incident of a signal once both its desk and the incident itself know it."""
    async with context.database.reading() as connection:
        record = (await alerts.load(connection, [fingerprint])).get(fingerprint)
        if record is None or record.incident is None:
            return None
        state = await incidents.get(connection, record.incident)
    return record.incident if state else None


async def _eventually(look: Callable[[], Awaitable[_Found | None]]) -> _Found | None:
    """Return what ``look`` finds, asked again for two seconds: a turn takes milliseconds."""
    found = await look()
    try:
        async with asyncio.timeout(_DECIDED_WITHIN_S):
            while found is None:
                await asyncio.sleep(_LOOK_EVERY_S)
                found = await look()
    except TimeoutError:
        return None
    return found


async def _read_reason(request: Request) -> str:
    said = await read_shape(request, shapes.GiveReason)
    if len(said.because) > TEXT_CHARACTERS_MAX:
        raise Problem(422, f"because has more than {TEXT_CHARACTERS_MAX:,} characters.")
    return said.because.strip()


def _stream(incident: str) -> str:
    return f"incident/{incident}"


def _phase(word: str) -> Phase:
    try:
        return Phase(word.strip().lower())
    except ValueError:
        raise Problem(
            422, f'There is no phase "{word[:40]}".', f"There are: {', '.join(Phase)}."
        ) from None


def _level(policy: Policy, word: str) -> str:
    """Return a level as the runbook writes it; Problem 422 for one that it does not declare."""
    severity = policy.severity(word.strip())
    if severity is None:
        declared = ", ".join(level.level for level in policy.severities) or "none"
        raise Problem(
            422, f'The runbook declares no severity "{word[:40]}".', f"It declares: {declared}."
        )
    return severity.level


def _words(text: str, name: str, characters_max: int) -> str:
    words = text.strip()
    if not words:
        raise Problem(422, f"{name} is empty.")
    if len(words) > characters_max:
        raise Problem(
            422, f"{name} has {len(words):,} characters; {characters_max:,} are the most."
        )
    return words


def _refuse_nul(*texts: str) -> None:
    if any("\0" in text for text in texts):
        raise Problem(422, "A filter holds the character U+0000, which is no text.")


def _findings(found: Sequence[Finding]) -> tuple[shapes.FindingAnswer, ...]:
    return tuple(shapes.finding_answer(finding) for finding in found)
