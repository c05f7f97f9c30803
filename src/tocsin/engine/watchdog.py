"""The watchdog: notices that a loop of this process has stopped, and says so by another way.

Each loop beats whenever it goes round; one that has not for longer than its limit is late. That is
logged, makes ``/readyz`` refuse and shows in the metrics at once. Where it lasts, the people named
in the settings are told, straight through their channels: no row, no job, no turn is needed for
it, since the loss of these may be what there is to tell. They hear once that it began, and once
that it is over.

A heartbeat to an address outside goes out only while all is well. It is the word for the troubles
that nobody can tell of: a machine that is gone, a process that is frozen, a network that is cut.

A process that was frozen itself finds all its loops late when it wakes up. They were not: the
watchdog measures its own pause, and forgives everybody as much.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING

import msgspec
import structlog

from tocsin.base.durations import say_duration
from tocsin.core.effects import Message, Topic
from tocsin.integrations.wire import Delivered, HttpRequest, HttpResponse, Links, Refused, Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from tocsin.base.clock import Clock
    from tocsin.core.surroundings import Contact
    from tocsin.engine.channels import Channels
    from tocsin.engine.outbound import GuardedClient

_log = structlog.get_logger("tocsin.watchdog")

TICK_S = 1.0
LIMIT_S = 45.0
HEARTBEAT = "heartbeat"
# Longer than this between two ticks means that the process was held up as a whole.
_PAUSE_S_MAX = 3.0
_AGAIN_S = (5.0, 15.0, 60.0)
_MESSAGES_MAX = 20
# What a message shows is six lines, one before these and one after.
_LINES_MAX = 4


class Beat(msgspec.Struct, frozen=True):
    """How one loop does. ``last_at`` is None before its first beat.

    What is not ``is_vital`` keeps nobody from sending alerts here: a single stream that cannot be
    read, or a heartbeat that its receiver does not take.
    """

    name: str
    last_at: datetime | None
    limit_s: float
    is_late: bool
    detail: str = ""
    is_vital: bool = True


@dataclass(frozen=True)
class Heartbeat:
    """[heartbeat]: the address to call while all is well, and how often. It often holds a token."""

    url: Secret
    every_s: float


@dataclass(frozen=True)
class Alarm:
    """[watchdog]: whom to tell, and how long a trouble must last for that."""

    contacts: tuple[Contact, ...] = ()
    after_s: float = 30.0


@dataclass
class _Watched:
    limit_s: float
    is_vital: bool = True
    beaten_at: float = 0.0
    last_at: datetime | None = None
    # What is wrong, where somebody said so; "" where only silence would tell.
    fault: str = ""
    late_since: float | None = None
    is_told: bool = False


class Watchdog:
    """Watches the loops of one process. Every method but ``run`` returns at once."""

    def __init__(
        self,
        clock: Clock,
        channels: Channels | None = None,
        client: GuardedClient | None = None,
        *,
        alarm: Alarm = Alarm(),
        heartbeat: Heartbeat | None = None,
        about: str = "",
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        """Take the parts. ``about`` says in words which process this is.

        Without ``channels`` nobody is told, and without ``client`` no heart beats.
        """
        self.process: int | None = None
        self._clock = clock
        self._channels = channels
        self._client = client
        self._alarm = alarm
        self._heartbeat = heartbeat if client is not None else None
        self._about = about
        self._elapsed = elapsed
        self._watched: dict[str, _Watched] = {}
        self._began = int(clock.now().timestamp())
        self._said = 0
        self._queues: dict[Contact, deque[tuple[str, Message]]] = {
            contact: deque(maxlen=_MESSAGES_MAX) for contact in alarm.contacts
        }
        self._stirred = {contact: asyncio.Event() for contact in alarm.contacts}

    # -- What loops say ----------------------------------------------------------------------------

    def watch(
        self, name: str, limit_s: float = LIMIT_S, *, is_vital: bool = True
    ) -> Callable[[], None]:
        """Expect life of a loop from now on, and return what it has to call each time round."""
        watched = _Watched(limit_s, is_vital, self._elapsed())
        self._watched[name] = watched

        def beat() -> None:
            watched.beaten_at = self._elapsed()
            watched.last_at = self._clock.now()

        return beat

    def release(self, name: str) -> None:
        """Expect nothing of a loop any more: it has ended as it should."""
        self._watched.pop(name, None)

    def fault(self, name: str, detail: str, *, is_vital: bool = False) -> None:
        """Say that something is wrong, until ``mended``. Saying it again changes only the words."""
        watched = self._watched.setdefault(name, _Watched(0.0, is_vital))
        watched.fault = detail

    def mended(self, name: str) -> None:
        """Say that it is well again."""
        watched = self._watched.get(name)
        if watched is not None:
            watched.fault = ""

    def state(self) -> tuple[Beat, ...]:
        """Return how every loop does, in the order in which they began."""
        return tuple(
            Beat(
                name,
                watched.last_at,
                watched.limit_s,
                self._is_late(watched),
                watched.fault,
                watched.is_vital,
            )
            for name, watched in self._watched.items()
        )

    def _is_late(self, watched: _Watched) -> bool:
        if watched.fault:
            return True
        return watched.limit_s > 0 and self._elapsed() - watched.beaten_at > watched.limit_s

    # -- What it does about it ---------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until ``stop`` is set."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._tell(contact)) for contact in self._queues]
            if self._heartbeat is not None:
                tasks.append(group.create_task(self._beat_outside(self._heartbeat)))
            ticked_at = self._elapsed()
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_S):
                        await stop.wait()
                paused_s = self._elapsed() - ticked_at - TICK_S
                ticked_at = self._elapsed()
                if paused_s > _PAUSE_S_MAX:
                    _log.warning("the whole process was held up", for_s=round(paused_s, 1))
                    self.forgive(paused_s)
                self.look()
            for task in tasks:
                task.cancel()

    def forgive(self, seconds: float) -> None:
        """Count so many seconds for nobody's silence: nobody could beat."""
        for watched in self._watched.values():
            watched.beaten_at += seconds
            if watched.late_since is not None:
                watched.late_since += seconds

    def look(self) -> None:
        """Look once: note who is late, and let those be told whom it concerns."""
        now = self._elapsed()
        news: list[str] = []
        over: list[str] = []
        for name, watched in list(self._watched.items()):
            if self._is_late(watched):
                if self._lasts(name, watched, now):
                    news.append(self._sentence(name, watched, now))
                    watched.is_told = True
                continue
            if watched.late_since is not None:
                _log.warning("goes on", what=name, after_s=round(now - watched.late_since, 1))
                if watched.is_told:
                    over.append(f"{name}: it goes on.")
                watched.late_since, watched.is_told = None, False
            if not watched.limit_s:
                # It was a fault, and is none any more: there is no loop to watch.
                del self._watched[name]
        if news:
            end = "Until this is over, pages may be late. Its log and /readyz say more."
            self._say("Tocsin itself is in trouble", news, end)
        if over:
            self._say_over(over)

    def _lasts(self, name: str, watched: _Watched, now: float) -> bool:
        """Note that something is late; say whether it is time that people hear of it."""
        if watched.late_since is None:
            watched.late_since = now
            _log.error("stands still", what=name, limit_s=watched.limit_s, why=watched.fault)
        return not watched.is_told and now - watched.late_since >= self._alarm.after_s

    def _say_over(self, over: Sequence[str]) -> None:
        rest = [name for name, watched in self._watched.items() if watched.is_told]
        if rest:
            end = f"Not yet over: {', '.join(rest)}."
            self._say("Tocsin is in trouble still, but less", over, end)
        else:
            self._say("Tocsin is well again", over, "Nothing else stands still.")

    def _sentence(self, name: str, watched: _Watched, now: float) -> str:
        if watched.fault:
            return f"{name}: {watched.fault}"
        silent = say_duration(timedelta(seconds=now - watched.beaten_at))
        return f"{name}: it has shown no life for {silent}."

    def _say(self, headline: str, lines: Sequence[str], end: str) -> None:
        which = f"process {self.process}" if self.process else "a process that is not registered"
        who = f"This is {which}{f' ({self._about})' if self._about else ''}."
        if len(lines) > _LINES_MAX:
            lines = [*lines[: _LINES_MAX - 1], f"And {len(lines) - _LINES_MAX + 1} more."]
        # As external, since there is no incident, no room and no runbook line to name.
        message = Message(
            Topic.NOTICE, "", headline, "", 0, "", lines=(who, *lines, end), external=True
        )
        self._said += 1
        key = f"watchdog/{self._began}-{self.process or 0}/{self._said}"
        for contact, queue in self._queues.items():
            queue.append((key, message))
            self._stirred[contact].set()

    async def _tell(self, contact: Contact) -> None:
        """Hand one contact its messages in order; where that fails, for as long as it takes."""
        queue, stirred = self._queues[contact], self._stirred[contact]
        tries = 0
        while True:
            if not queue or self._channels is None:
                stirred.clear()
                await stirred.wait()
                continue
            key, message = queue[0]
            outcome = await self._channels.send(message, contact, Links(""), key)
            if isinstance(outcome, (Delivered, Refused)):
                if isinstance(outcome, Refused):
                    _log.error("watchdog is not heard", contact=str(contact), why=outcome.detail)
                tries = 0
                if queue and queue[0][0] == key:
                    queue.popleft()
                continue
            _log.warning("watchdog is not heard yet", contact=str(contact), why=outcome.detail)
            await asyncio.sleep(_AGAIN_S[min(tries, len(_AGAIN_S) - 1)])
            tries += 1

    async def _beat_outside(self, heartbeat: Heartbeat) -> None:
        assert self._client is not None, "who has no client has no heartbeat"
        beat = self.watch(HEARTBEAT, 3 * heartbeat.every_s + 15, is_vital=False)
        while True:
            if not any(one.is_late for one in self.state() if one.name != HEARTBEAT):
                request = HttpRequest("GET", heartbeat.url.reveal(), (), b"")
                answer = await self._client.perform(request)
                if isinstance(answer, HttpResponse) and answer.status < 400:
                    beat()
                    self.mended(HEARTBEAT)
                else:
                    why = (
                        f"it answers {answer.status}"
                        if isinstance(answer, HttpResponse)
                        else answer.detail
                    )
                    _log.warning("the heartbeat is not taken", why=why)
            await asyncio.sleep(heartbeat.every_s)
