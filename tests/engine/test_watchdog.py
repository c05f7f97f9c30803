"""The watchdog: who stands still is noticed, said once, and said to be over once."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime

import pytest

from tests.fakes.webhook import FakeWebhook
from tocsin.core.surroundings import Contact
from tocsin.engine.channels import Channels
from tocsin.engine.outbound import GuardedClient
from tocsin.engine.watchdog import Alarm, Heartbeat, Watchdog
from tocsin.integrations.outbound.webhook import WEBHOOK
from tocsin.integrations.wire import Credentials, Secret, WebhookTarget

pytestmark = pytest.mark.anyio

PAGER = Contact("webhook", "pager")


class Time:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.s = 1_000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(1_772_330_400 + self.s, UTC)

    def elapsed(self) -> float:
        return self.s

    def __call__(self) -> float:
        return self.s


class House:
    """A watchdog with a pager, and time in the test's hands."""

    def __init__(self, time: Time, dog: Watchdog, pager: FakeWebhook) -> None:
        self.time, self.dog, self.pager = time, dog, pager

    def passes(self, seconds: float) -> None:
        """Let time pass, second by second, with a look at each."""
        for _ in range(int(seconds)):
            self.time.s += 1
            self.dog.look()

    async def said(self, count: int) -> list[str]:
        """Return the headlines that the pager took, once there are so many."""
        calls = await asyncio.to_thread(self.pager.wait_for, count)
        return [call.body["title"] for call in calls]

    def late(self) -> list[str]:
        return [beat.name for beat in self.dog.state() if beat.is_late]


@contextlib.asynccontextmanager
async def a_house(**options):
    time = Time()
    with FakeWebhook(now_s=lambda: time.now().timestamp()) as pager:
        target = WebhookTarget(Secret(pager.url), Secret(pager.secret))
        async with GuardedClient(["127.0.0.1"]) as client:
            channels = Channels(
                {"webhook": WEBHOOK}, Credentials(webhooks={"pager": target}), None, client, time
            )
            dog = Watchdog(
                time,
                channels,
                client,
                alarm=Alarm((PAGER,), 30.0),
                about="role all",
                elapsed=time,
                **options,
            )
            dog.process = 7
            stop = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(dog.run(stop))
                yield House(time, dog, pager)
                stop.set()


async def test_a_loop_that_stands_still_is_late_and_told_once_and_over_once():
    async with a_house() as house:
        beat = house.dog.watch("the sweep", 10)
        house.passes(9)
        assert house.late() == []
        house.passes(3)
        assert house.late() == ["the sweep"]
        house.passes(40)
        assert await house.said(1) == ["Tocsin itself is in trouble"]
        [call] = house.pager.calls
        assert any("process 7 (role all)" in line for line in call.body["lines"])
        assert any(
            line.startswith("the sweep: it has shown no life") for line in call.body["lines"]
        )
        assert (call.body["incident"], call.body["links"]["room"]) == ("", None)
        house.passes(100)
        beat()
        house.passes(1)
        assert house.late() == []
        assert await house.said(2) == ["Tocsin itself is in trouble", "Tocsin is well again"]
        assert len({call.key for call in house.pager.calls}) == 2


async def test_a_short_trouble_is_shown_and_nobody_is_told():
    async with a_house() as house:
        beat = house.dog.watch("the sweep", 60)
        house.passes(85)
        assert house.late() == ["the sweep"]
        beat()
        house.passes(1)
        assert house.late() == []
        house.dog.fault("x", "wrong")
        house.passes(31)
        assert await house.said(1) == ["Tocsin itself is in trouble"]
        [call] = house.pager.calls
        assert [line for line in call.body["lines"] if "sweep" in line] == []


async def test_two_troubles_are_over_one_after_the_other():
    async with a_house() as house:
        first = house.dog.watch("one", 5)
        house.dog.fault("two", "it is broken.")
        house.passes(50)
        assert len(await house.said(2)) == 2
        first()
        house.passes(1)
        assert (await house.said(3))[-1] == "Tocsin is in trouble still, but less"
        first()
        house.dog.mended("two")
        house.passes(1)
        assert (await house.said(4))[-1] == "Tocsin is well again"


async def test_what_was_a_fault_and_is_mended_is_forgotten():
    async with a_house() as house:
        house.dog.fault("the stream desk/x", "it cannot be read")
        [beat] = house.dog.state()
        assert (beat.is_late, beat.is_vital, beat.detail) == (True, False, "it cannot be read")
        house.dog.mended("the stream desk/x")
        house.passes(1)
        assert house.dog.state() == ()
        house.dog.mended("what never was")


async def test_a_channel_that_fails_is_tried_until_it_takes_the_word():
    async with a_house() as house:
        house.pager.fail(503)
        house.dog.fault("x", "wrong")
        house.passes(31)
        assert await house.said(1) == ["Tocsin itself is in trouble"]
        assert house.pager.attempts == 2


async def test_a_process_that_was_frozen_itself_blames_nobody():
    async with a_house() as house:
        house.dog.watch("the sweep", 10)
        house.time.s += 60
        house.dog.forgive(60)
        house.dog.look()
        assert house.late() == []


async def test_a_loop_that_ended_as_it_should_is_not_missed():
    async with a_house() as house:
        house.dog.watch("the sweep", 10)
        house.dog.release("the sweep")
        house.passes(60)
        assert house.dog.state() == ()


class Receiver:
    """Takes heartbeats, and counts them."""

    def __init__(self) -> None:
        self.calls = 0
        self.status = 200
        self._came = asyncio.Event()

    async def perform(self, request):
        from tocsin.integrations.wire import HttpResponse

        self.calls += 1
        self._came.set()
        return HttpResponse(self.status, {})

    async def next(self) -> None:
        self._came.clear()
        async with asyncio.timeout(5):
            await self._came.wait()


async def test_the_heart_beats_only_while_all_is_well():
    time, receiver, stop = Time(), Receiver(), asyncio.Event()
    heartbeat = Heartbeat(Secret("https://hc.example.org/x"), 0.05)
    dog = Watchdog(time, None, receiver, heartbeat=heartbeat, elapsed=time)
    async with asyncio.TaskGroup() as group:
        group.create_task(dog.run(stop))
        await receiver.next()
        dog.fault("x", "wrong")
        before = receiver.calls
        await asyncio.sleep(0.3)
        assert receiver.calls <= before + 1
        dog.mended("x")
        await receiver.next()
        stop.set()


async def test_a_heartbeat_that_is_not_taken_shows_and_refuses_no_alerts():
    time, receiver, stop = Time(), Receiver(), asyncio.Event()
    receiver.status = 404
    heartbeat = Heartbeat(Secret("https://hc.example.org/x"), 0.05)
    dog = Watchdog(time, None, receiver, heartbeat=heartbeat, elapsed=time)
    async with asyncio.TaskGroup() as group:
        group.create_task(dog.run(stop))
        await receiver.next()
        time.s += 20
        [beat] = dog.state()
        assert (beat.name, beat.is_late, beat.is_vital) == ("heartbeat", True, False)
        await receiver.next()
        stop.set()


def test_the_address_of_the_heartbeat_is_in_no_repr():
    assert "canary" not in repr(Heartbeat(Secret("https://hc.example.org/canary"), 60.0))
