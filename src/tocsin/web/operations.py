"""For whoever looks after Tocsin: how it is, and whether its contacts reach anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request, Response

from tocsin.core.effects import Message, SendNotice, Topic
from tocsin.engine import doctor
from tocsin.engine.doctor import Check, Facts, Verdict
from tocsin.engine.reach import Way, ways
from tocsin.store import contacts, counts, deliveries
from tocsin.store.database import Unavailable
from tocsin.web import shapes
from tocsin.web.bodies import Json, read_shape
from tocsin.web.context import Context, context_of
from tocsin.web.errors import Problem
from tocsin.web.guard import Scope, allow, caller_of
from tocsin.web.openapi import says

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tocsin.store.contacts import ContactRow

_HEADLINE: Final = "Test message from Tocsin. Nothing is wrong"
_ID_CHARACTERS: Final = 16

router = APIRouter(prefix="/api/v1", tags=["Operations"])


@router.get(
    "/doctor",
    **says(allow(Scope.ADMIN, known_suffices=True), shapes.DoctorAnswer),
    summary="Say what is well, what is worrying and what is broken.",
)
async def get_doctor(request: Request) -> Response:
    """Return every check; also while the database is away, if the caller was known before."""
    context = context_of(request)
    at = context.clock.now()
    database_at = None
    try:
        facts = await _facts(context)
    except (Unavailable, TimeoutError) as error:
        checks: tuple[Check, ...] = (_away(str(error)),)
    else:
        checks = doctor.examine(facts)
        database_at = facts.standing.at
    return Json(
        shapes.DoctorAnswer(
            verdict=doctor.worst(checks),
            version=context.version,
            role=context.about.role,
            started_at=context.started_at,
            server_at=at,
            database_at=database_at,
            checks=tuple(shapes.CheckAnswer(c.about, c.verdict, c.says, c.remedy) for c in checks),
        )
    )


@router.get(
    "/contacts",
    **says(allow(Scope.READ), shapes.ContactList),
    summary="List the contacts of the settings, and how each did when it was last used.",
)
async def get_contacts(request: Request) -> Response:
    """Return every contact once, with everybody whose it is."""
    context = context_of(request)
    async with context.database.reading() as connection:
        known = await contacts.known(connection)
    return Json(shapes.ContactList(tuple(_contact(way, known) for way in _ways(context))))


@router.post(
    "/contacts/tests",
    **says(
        allow(Scope.RESPOND),
        shapes.ContactTrials,
        hears=shapes.TryContacts,
        status=202,
        also=(404, 409),
    ),
    summary="Send a test message, to see whether it arrives.",
)
async def post_contact_test(request: Request) -> Response:
    """Ask for test messages; they leave as any other message does, and say that they are tests.

    Audiences and channels are tested only where they are named: customers may read them.
    """
    said = await read_shape(request, shapes.TryContacts)
    context = context_of(request)
    chosen = _chosen(context, said.of.strip())
    by = caller_of(request).name
    async with context.database.transaction() as connection:
        busy = await contacts.on_trial(connection)
        free = [way for way in chosen if str(way.contact) not in busy]
        if not free:
            raise Problem(
                409,
                f"A test message to {chosen[0].contact} is on its way already, or five were sent"
                " within ten minutes.",
                "Wait for its outcome.",
            )
        sends = [
            SendNotice(f"test/{context.ids.secret()[:_ID_CHARACTERS]}", way.contact, _message(by))
            for way in free
        ]
        await deliveries.add(connection, "", sends)
        rows = await contacts.trials(connection, [send.delivery for send in sends])
    return Json(_trials(rows), 202)


@router.get(
    "/contacts/tests/{test}",
    **says(allow(Scope.READ), shapes.ContactTrials, also=(404,)),
    summary="Tell what came of a test message.",
)
async def get_contact_test(request: Request, test: str) -> Response:
    """Return one test message; ``test`` is its id without "test/"."""
    context = context_of(request)
    rows = []
    if "\0" not in test:
        async with context.database.reading() as connection:
            rows = await contacts.trials(connection, [f"test/{test}"])
    if not rows:
        raise Problem(404, f"There is no test message {test[:40]}.")
    return Json(_trials(rows))


# -- The doctor's facts ----------------------------------------------------------------------------


async def _facts(context: Context) -> Facts:
    before = context.clock.now()
    standing = await counts.standing(context.database)
    between = before + (context.clock.now() - before) / 2
    stands = await context.database.facts()
    async with context.database.reading() as connection:
        return Facts(
            standing=standing,
            server=await counts.server(connection),
            clock_offset_s=(between - standing.at).total_seconds(),
            contacts=await contacts.known(connection),
            put_aside=await counts.quarantined(connection),
            admins=await counts.admins(connection),
            is_pooled=stands.is_pooled,
            listens=stands.listens,
            steps_left=stands.steps_left,
            pool_size=context.database.connections.most,
            ways=_ways(context),
            findings=context.book.findings,
            edit_is_refused=context.book.refused is not None,
            about=context.about,
        )


def _away(why: str) -> Check:
    # Which loops stand still is not said: it follows from this.
    return Check(
        "database",
        Verdict.PROBLEM,
        f"{why.rstrip('.') or 'It took too long'}. Nothing is taken in, decided or delivered.",
        "Bring it back. Tocsin finds it by itself within five seconds, and nothing that was "
        "answered with 200 is lost.",
    )


# -- Contacts --------------------------------------------------------------------------------------


def _ways(context: Context) -> tuple[Way, ...]:
    return ways(context.directory, context.about.watchdog_contacts)


def _chosen(context: Context, of: str) -> Sequence[Way]:
    """Return the ways that a person means by a contact, a name, or nothing; Problem 404 for none."""
    found = _ways(context)
    if not of:
        chosen = [way for way in found if way.people]
        if not chosen:
            raise Problem(
                404,
                "Nobody in the settings has a contact.",
                "Name some under [people.NAME] in tocsin.toml.",
            )
        return chosen
    wanted = of.casefold()
    chosen = [way for way in found if str(way.contact).casefold() == wanted]
    if not chosen:
        chosen = [
            way
            for way in found
            if wanted in {name.casefold() for name in (*way.people, *way.whose)}
            or wanted in {name.partition(" ")[2].casefold() for name in way.whose}
        ]
    if not chosen:
        listed = ", ".join(str(way.contact) for way in found[:5]) or "none"
        raise Problem(
            404,
            f'The settings know no contact and nobody with one by the name "{of[:60]}".',
            f"They know: {listed}.",
        )
    return chosen


def _message(by: str) -> Message:
    return Message(
        topic=Topic.TEST,
        incident="",
        headline=_HEADLINE,
        severity="",
        rank=0,
        service="",
        lines=(
            f"{by or 'Somebody'} asked for it, to see whether Tocsin reaches you this way.",
            "There is no incident and nothing to do.",
        ),
        # It names no room, since it has none.
        external=True,
    )


def _contact(way: Way, known: dict[str, ContactRow]) -> shapes.ContactAnswer:
    row = known.get(str(way.contact))
    return shapes.ContactAnswer(
        contact=str(way.contact),
        whose=way.whose,
        state=way.state(known),
        delivered_at=row.delivered_at if row else None,
        failed_at=row.failed_at if row else None,
        detail=row.detail if row else "",
        missing=way.missing,
    )


def _trials(rows: Sequence[contacts.Trial]) -> shapes.ContactTrials:
    return shapes.ContactTrials(
        tuple(
            shapes.ContactTrial(
                id=row.id.removeprefix("test/"),
                contact=row.contact,
                state=row.state,
                attempts=row.attempts,
                detail=row.detail,
                created_at=row.created_at,
                updated_at=row.updated_at,
            )
            for row in rows
        )
    )
