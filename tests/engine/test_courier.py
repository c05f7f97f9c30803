from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from tests.fakes.slack import FakeSlack
from tests.fakes.smtp import FakeSmtp
from tests.fakes.webhook import FakeWebhook
from tests.store.samples import left_behind
from tocsin.base.source import Source
from tocsin.core.effects import Message, SendNotice, SendPage, Topic
from tocsin.core.inputs import DeliveryReported
from tocsin.core.surroundings import Contact
from tocsin.engine.courier import Courier
from tocsin.engine.gate import AT_ONCE_MAX
from tocsin.engine.outbound import GuardedClient, SmtpServer
from tocsin.integrations.outbound.email import EMAIL
from tocsin.integrations.outbound.slack import SLACK
from tocsin.integrations.outbound.webhook import WEBHOOK
from tocsin.integrations.wire import (
    Credentials,
    Delivered,
    EmailCredentials,
    HttpRequest,
    HttpResponse,
    Links,
    Secret,
    SlackCredentials,
    WebhookTarget,
)
from tocsin.store import deliveries, inbox
from tocsin.store.database import Database

pytestmark = pytest.mark.anyio

AT = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
CANARY = "canary+++[(5f2a"
KEY = "INC-1/d1"
STREAM = "incident/INC-1"
MESSAGE = Message(
    topic=Topic.PAGE,
    incident="INC-1",
    headline="API does not answer",
    severity="P0",
    rank=0,
    service="api",
    lines=("You are reached as on-call.",),
    source=Source("runbook.md", 182, "P0: page at once"),
)
SLACK_PERSON = Contact("slack", "U1")
MAIL_PERSON = Contact("email", "priya@team.test")
PAGER = Contact("webhook", "pager")


class FixedClock:
    def now(self) -> datetime:
        return AT


def links(incident: str, page: str | None) -> Links:
    room = f"https://t.test/incidents/{incident}"
    return Links(room, f"https://t.test/ack/{incident}-{page}" if page else "")


class Post:
    """A courier with its database, and what it woke."""

    def __init__(self, database: Database, client: GuardedClient, credentials, smtp) -> None:
        self.database = database
        self.woken: list[str] = []
        self._parts = (credentials, smtp, client)
        self.courier = self.another()

    def another(self, outbound=None) -> Courier:
        credentials, smtp, client = self._parts
        known = {"slack": SLACK, "email": EMAIL, "webhook": WEBHOOK}
        courier = Courier(
            database=self.database,
            outbound=known if outbound is None else outbound,
            credentials=credentials,
            smtp=smtp,
            client=client,
            links=links,
            clock=FixedClock(),
        )
        courier.on_report(self.woken.extend)
        return courier

    async def ask(self, contact: Contact | None, key: str = KEY) -> None:
        page = SendPage(key, "priya", "priya", "Priya", contact, MESSAGE)
        async with self.database.transaction() as c:
            await deliveries.add(c, "INC-1", [page])

    async def deliver(self, contact: Contact | None) -> None:
        await self.ask(contact)
        await self.courier.deliver_due()

    async def row(self) -> deliveries.DeliveryRow:
        async with self.database.reading() as c:
            [row] = await deliveries.find(c, incident="INC-1")
        return row

    async def reports(self) -> list[DeliveryReported]:
        async with self.database.transaction() as c:
            return [waiting.input for waiting in await inbox.take(c, STREAM)]

    async def waits_s(self) -> int:
        async with self.database.reading() as c:
            return round(
                await c.fetchval("SELECT extract(epoch FROM due_at - updated_at) FROM deliveries")
            )

    async def lease(self, by: int | None = None) -> list[deliveries.Delivery]:
        """Take what is due as a courier does that dies of it."""
        async with self.database.transaction() as c:
            return await deliveries.lease(c, by, 30, free={}, free_elsewhere=100)

    async def time_passes(self) -> None:
        """Let every wait and every lease be over."""
        async with self.database.transaction() as c:
            await c.execute(
                "UPDATE deliveries SET due_at = now() - interval '1 s',"
                " leased_until = least(leased_until, now() - interval '1 s')"
            )


@asynccontextmanager
async def a_post(database, *, slack=None, smtp=None, webhook=None, allow=("127.0.0.1",)):
    credentials = Credentials(
        slack=SlackCredentials(Secret(slack.token), slack.api_url) if slack else SlackCredentials(),
        email=EmailCredentials("tocsin@team.test" if smtp else ""),
        webhooks={"pager": WebhookTarget(Secret(webhook.url), Secret(webhook.secret))}
        if webhook
        else {},
    )
    server = SmtpServer("127.0.0.1", smtp.port, tls="none") if smtp else None
    async with GuardedClient(allow) as client:
        yield Post(database, client, credentials, server)


async def test_a_page_is_handed_over_settled_and_reported(database):
    with FakeSlack() as slack:
        async with a_post(database, slack=slack) as post:
            await post.deliver(SLACK_PERSON)
            [message] = slack.messages
            row = await post.row()
            assert message.channel == "U1"
            assert "https://t.test/ack/INC-1-priya" in message.said
            assert message.delivery == KEY
            assert (row.state, row.attempts) == ("delivered", 1)
            assert await post.reports() == [DeliveryReported(KEY, delivered=True)]
            assert post.woken == [STREAM]


async def test_a_settled_delivery_is_not_sent_again(database):
    with FakeSlack() as slack:
        async with a_post(database, slack=slack) as post:
            await post.deliver(SLACK_PERSON)
            await post.time_passes()
            await post.courier.deliver_due()
            assert slack.attempts == 1
            assert len(await post.reports()) == 1


async def test_a_notice_has_nothing_to_acknowledge(database):
    with FakeSlack() as slack:
        async with a_post(database, slack=slack) as post:
            async with database.transaction() as c:
                await deliveries.add(c, "INC-1", [SendNotice(KEY, Contact("slack", "#x"), MESSAGE)])
            await post.courier.deliver_due()
            assert "/ack/" not in slack.messages[0].said
            assert slack.messages[0].channel == "#x"


@pytest.mark.parametrize("contact", [None, Contact("in_app", "priya")])
async def test_the_app_itself_takes_a_page_at_once(database, contact):
    async with a_post(database) as post:
        await post.deliver(contact)
        assert (await post.row()).state == "delivered"
        expected = [] if contact is None else [DeliveryReported(KEY, delivered=True)]
        assert await post.reports() == expected


async def test_mail_goes_by_smtp(database):
    with FakeSmtp() as smtp:
        async with a_post(database, smtp=smtp) as post:
            await post.deliver(MAIL_PERSON)
            [mail] = smtp.wait_for(1)
            assert mail.text.startswith("Acknowledge: https://t.test/ack/INC-1-priya\n")
            assert mail.headers["X-Tocsin-Delivery"] == KEY
            assert mail.headers["Date"] == "Sun, 01 Mar 2026 02:00:00 +0000"
            assert (await post.row()).state == "delivered"


async def test_a_webhook_is_signed_and_taken(database):
    with FakeWebhook(now_s=AT.timestamp) as webhook:
        async with a_post(database, webhook=webhook) as post:
            await post.deliver(PAGER)
            [call] = webhook.wait_for(1)
            assert (call.key, call.timestamp_s) == (KEY, int(AT.timestamp()))
            assert webhook.refused == []
            assert (await post.row()).state == "delivered"


async def test_a_channel_in_trouble_is_tried_four_times_and_then_given_up(database):
    with FakeSlack() as slack:
        slack.fail("internal_error", times=99)
        async with a_post(database, slack=slack) as post:
            await post.ask(SLACK_PERSON)
            waits = []
            for _ in range(3):
                await post.courier.deliver_due()
                assert (await post.row()).state == "pending"
                assert await post.reports() == []
                waits.append(await post.waits_s())
                await post.courier.deliver_due()  # Not due yet, so this does nothing.
                await post.time_passes()
            assert waits == [2, 8, 30]
            await post.courier.deliver_due()
            row = await post.row()
            assert (row.state, row.attempts, slack.attempts) == ("failed", 4, 4)
            [report] = await post.reports()
            assert (report.delivery, report.delivered) == (KEY, False)
            assert "internal_error" in report.detail
            assert "Given up after 4 attempts." in report.detail
            assert row.detail == report.detail


async def test_a_second_attempt_that_succeeds_is_a_delivery(database):
    with FakeSlack() as slack:
        slack.fail("service_unavailable", status=503)
        async with a_post(database, slack=slack) as post:
            await post.deliver(SLACK_PERSON)
            await post.time_passes()
            await post.courier.deliver_due()
            assert len(slack.messages) == 1
            assert await post.reports() == [DeliveryReported(KEY, delivered=True)]


@pytest.mark.parametrize(("asked_s", "waited_s"), [(7, 7), (0, 1), (3600, 60)])
async def test_retry_after_is_respected_within_a_minute(database, asked_s, waited_s):
    with FakeSlack() as slack:
        slack.fail("ratelimited", status=429, retry_after_s=asked_s)
        async with a_post(database, slack=slack) as post:
            await post.deliver(SLACK_PERSON)
            assert await post.waits_s() == waited_s


async def test_a_channel_that_says_no_is_given_up_at_once(database):
    with FakeSlack(channels=["C1"]) as slack:
        async with a_post(database, slack=slack) as post:
            await post.deliver(SLACK_PERSON)
            assert slack.attempts == 1
            assert (await post.row()).state == "failed"
            [report] = await post.reports()
            assert report.detail == "Slack knows no channel or person with this address."


async def test_a_mail_server_that_says_later_is_tried_later_and_one_that_says_no_is_not(database):
    with FakeSmtp() as smtp:
        smtp.refuse(451, "later")
        smtp.refuse(550, "no such user")
        async with a_post(database, smtp=smtp) as post:
            await post.deliver(MAIL_PERSON)
            assert (await post.row()).state == "pending"
            await post.time_passes()
            await post.courier.deliver_due()
            assert (await post.row()).state == "failed"
            [report] = await post.reports()
            assert "550 no such user" in report.detail


@pytest.mark.parametrize(
    ("contact", "words"),
    [
        (SLACK_PERSON, "[slack] token is not set"),
        (MAIL_PERSON, "[email] from is not set"),
        (PAGER, "[webhooks.pager] url is not set"),
        (Contact("pigeon", "roof"), "there is no way called 'pigeon' (email, slack, webhook)"),
    ],
)
async def test_what_is_missing_is_said_and_nothing_is_sent(database, contact, words):
    async with a_post(database) as post:
        await post.deliver(contact)
        assert (await post.row()).state == "failed"
        [report] = await post.reports()
        assert words in report.detail


async def test_a_mail_without_a_server_names_the_setting(database):
    async with GuardedClient() as client:
        credentials = Credentials(email=EmailCredentials("tocsin@team.test"))
        post = Post(database, client, credentials, None)
        await post.deliver(MAIL_PERSON)
        [report] = await post.reports()
        assert "[email] host is not set" in report.detail


async def test_a_private_address_is_not_called_unless_allowed(database):
    with FakeWebhook() as webhook:
        async with a_post(database, webhook=webhook, allow=()) as post:
            await post.deliver(PAGER)
            assert webhook.attempts == 0
            [report] = await post.reports()
            assert not report.delivered
            assert "[outbound] allow" in report.detail


async def test_two_couriers_at_once_send_once(database):
    with FakeSlack() as slack:
        async with a_post(database, slack=slack) as post:
            await post.ask(SLACK_PERSON)
            async with asyncio.TaskGroup() as group:
                for courier in (post.courier, post.another(), post.another()):
                    group.create_task(courier.deliver_due())
            assert slack.attempts == 1
            assert len(await post.reports()) == 1


async def test_dying_after_the_send_sends_again_under_the_same_key(database):
    with FakeWebhook(now_s=AT.timestamp) as webhook:
        webhook.fail(500, take_it_first=True, delay_s=2)
        async with a_post(database, webhook=webhook) as post:
            await post.ask(PAGER)
            dying = asyncio.ensure_future(post.courier.deliver_due())
            await asyncio.to_thread(webhook.wait_for, 1)
            dying.cancel()
            await asyncio.wait([dying])

            survivor = post.another()
            await survivor.deliver_due()  # The lease still holds.
            assert webhook.attempts == 1
            await post.time_passes()
            async with database.transaction() as c:
                assert await left_behind(c) == [KEY]
            await survivor.deliver_due()
            assert [call.key for call in webhook.calls] == [KEY]
            assert webhook.repeated == [KEY]
            assert await post.reports() == [DeliveryReported(KEY, delivered=True)]


async def test_an_outcome_that_cannot_be_reported_is_not_settled_either(database):
    with FakeWebhook(now_s=AT.timestamp) as webhook:
        async with a_post(database, webhook=webhook) as post:
            await post.ask(PAGER)
            async with database.transaction() as c:
                await c.execute("ALTER TABLE inbox RENAME TO inbox_away")
            await post.courier.deliver_due()
            assert (await post.row()).state == "pending"
            assert post.woken == []
            async with database.transaction() as c:
                await c.execute("ALTER TABLE inbox_away RENAME TO inbox")
            await post.time_passes()
            await post.courier.deliver_due()
            assert (await post.row()).state == "delivered"
            assert await post.reports() == [DeliveryReported(KEY, delivered=True)]
            assert webhook.repeated == [KEY]


class Gate:
    """A channel that answers when it is let, and counts how many are at it at once."""

    kind = "slow"

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.asked: list[str] = []
        self.at_once = 0
        self.at_once_max = 0

    def request(self, message, contact, links, credentials, key, at):
        return HttpRequest("POST", contact.address, (("Key", key),), b"")

    def outcome(self, response):
        return Delivered()

    async def perform(self, request):
        if request.url == "quick":
            return HttpResponse(200, {})
        self.asked.append(request.headers[0][1])
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            await self.is_open.wait()
        finally:
            self.at_once -= 1
        return HttpResponse(200, {})

    async def has_been_asked(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.asked) < count:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def a_running_courier(database, gate, *, by=None):
    """A courier at work, with ``gate`` for contacts of the kinds "webhook" and "slack"."""
    courier = Courier(
        database=database,
        outbound={"webhook": gate, "slack": gate},
        credentials=Credentials(),
        smtp=None,
        client=gate,
        links=links,
        clock=FixedClock(),
    )
    courier.process = by
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(courier.run(stop))
        try:
            yield courier
        finally:
            stop.set()
            await running


async def ask(database, contact, numbers) -> None:
    pages = [SendPage(f"INC-1/d{n}", "p", "p", "P", contact, MESSAGE) for n in numbers]
    async with database.transaction() as c:
        await deliveries.add(c, "INC-1", pages)


async def states(database) -> dict[str, str]:
    async with database.reading() as c:
        return {row.id: row.state for row in await deliveries.find(c, limit=1_000)}


async def until(what, seconds: float = 10):
    async with asyncio.timeout(seconds):
        while not await what():
            await asyncio.sleep(0.02)


async def test_a_dead_channel_holds_up_no_other_however_much_waits_for_it(database):
    gate = Gate()
    await ask(database, Contact("webhook", "dead"), range(1, 400))
    async with a_running_courier(database, gate) as courier:
        await gate.has_been_asked(AT_ONCE_MAX)
        await ask(database, Contact("webhook", "quick"), range(500, 700))
        courier.wake()

        async def quick_ones_arrived():
            found = await states(database)
            return all(found[f"INC-1/d{n}"] == "delivered" for n in range(500, 700))

        await until(quick_ones_arrived)
        assert gate.at_once_max == AT_ONCE_MAX
        gate.is_open.set()

        async def all_arrived():
            return set((await states(database)).values()) == {"delivered"}

        await until(all_arrived)
        assert sorted(gate.asked) == sorted(f"INC-1/d{n}" for n in range(1, 400))


async def test_a_courier_that_stops_hands_over_what_it_cannot_finish(database):
    gate = Gate()
    await ask(database, Contact("webhook", "dead"), range(1, 41))
    async with a_running_courier(database, gate):
        await gate.has_been_asked(AT_ONCE_MAX)
    async with database.transaction() as c:
        found = await deliveries.lease(c, None, 10, free={}, free_elsewhere=100)
    assert len(found) == 40


async def test_what_was_sent_is_settled_once_the_database_is_there_again(database):
    gate = Gate()
    await ask(database, Contact("webhook", "dead"), range(1, 6))
    async with a_running_courier(database, gate):
        await gate.has_been_asked(5)
        async with database.transaction() as c:
            # Nothing of ours can be settled while somebody holds these rows for too long.
            await c.execute("SELECT id FROM deliveries FOR UPDATE")
            gate.is_open.set()
            await asyncio.sleep(0.3)
            assert set((await states(database)).values()) == {"pending"}

        async def all_arrived():
            return set((await states(database)).values()) == {"delivered"}

        await until(all_arrived)
        assert len(gate.asked) == 5


async def test_a_lease_is_renewed_for_as_long_as_an_attempt_takes(database):
    gate = Gate()
    await ask(database, Contact("webhook", "dead"), [1])
    async with a_running_courier(database, gate) as courier:
        await gate.has_been_asked(1)
        async with database.transaction() as c:
            await c.execute("UPDATE deliveries SET leased_until = now() - interval '1 s'")
            assert await left_behind(c) == ["INC-1/d1"]
            await courier.renew(c)
            assert await left_behind(c) == []
        gate.is_open.set()


async def test_whoever_was_overtaken_settles_nothing_and_reports_nothing(database):
    gate, other = Gate(), Gate()
    await ask(database, Contact("webhook", "dead"), [1])
    async with a_running_courier(database, gate) as frozen:
        await gate.has_been_asked(1)
        async with database.transaction() as c:
            await c.execute("UPDATE deliveries SET leased_until = now() - interval '1 s'")
            # Ours again, were it not that another takes it first.
        async with a_running_courier(database, other):
            await other.has_been_asked(1)
            gate.is_open.set()
            await until(_settled_by(frozen))
            assert await states(database) == {"INC-1/d1": "pending"}
            other.is_open.set()

            async def arrived():
                return await states(database) == {"INC-1/d1": "delivered"}

            await until(arrived)
    async with database.transaction() as c:
        reports = [waiting.input for waiting in await inbox.take(c, STREAM)]
    assert reports == [DeliveryReported("INC-1/d1", delivered=True)]


def _settled_by(courier: Courier):
    async def is_done() -> bool:
        return not courier._held

    return is_done


async def test_an_attempt_is_given_up_when_its_lease_is_found_to_be_lost(database):
    gate = Gate()
    await ask(database, Contact("webhook", "dead"), [1])
    async with a_running_courier(database, gate) as courier:
        await gate.has_been_asked(1)
        async with database.transaction() as c:
            await c.execute("UPDATE deliveries SET attempts = attempts + 1")
            await courier.renew(c)
        await until(_settled_by(courier))
        assert gate.at_once == 0


class Broken:
    """An integration with a bug."""

    kind = "slack"

    def request(self, *_):
        raise ZeroDivisionError

    def outcome(self, response):
        raise ZeroDivisionError


async def test_a_bug_in_an_integration_ends_in_a_failed_delivery_and_not_in_a_loop(database):
    async with a_post(database) as post:
        await post.ask(SLACK_PERSON)
        courier = post.another({"slack": Broken()})
        for _ in range(4):
            assert (await post.row()).state == "pending"
            await courier.deliver_due()
            await post.time_passes()
        assert (await post.row()).state == "failed"
        [report] = await post.reports()
        assert "met a defect of Tocsin: ZeroDivisionError. Given up after 4" in report.detail


async def test_a_message_that_kills_its_courier_each_time_is_given_up(database):
    async with a_post(database) as post:
        await post.ask(SLACK_PERSON)
        for _ in range(4):
            assert len(await post.lease()) == 1
            await post.time_passes()
        await post.courier.deliver_due()
        assert (await post.row()).state == "failed"
        [report] = await post.reports()
        assert "cut short" in report.detail


async def test_no_secret_reaches_the_database(database):
    with FakeSlack(token=f"xoxb-{CANARY}") as slack, FakeWebhook(secret=CANARY) as webhook:
        for contact in (SLACK_PERSON, PAGER):
            slack.fail(f"no {CANARY}")
            webhook.fail(302)
            async with a_post(database, slack=slack, webhook=webhook) as post:
                key = f"INC-1/{contact.kind}"
                await post.ask(contact, key)
                await post.courier.deliver_due()
    async with database.reading() as c:
        tables = await c.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for [table] in tables:
            for [row] in await c.fetch(f"SELECT t::text FROM {table} t"):  # noqa: S608
                assert CANARY not in row
                assert CANARY.encode().hex() not in row
