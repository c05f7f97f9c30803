"""Replicas on one PostgreSQL that are stopped (SIGSTOP) at any moment, and wake up again (SIGCONT).

A stopped replica may hold anything: a turn half decided, a timer taken, a page half sent. The others
take it over; the stopped one wakes up and believes that it still holds it. Incidents open,
escalate, repeat and end all the while, and the receiver of the pages takes its time over some of
them, so that many a stop falls into the middle of a send. At least two replicas are always awake (one
in the short form). At the end every act of the journals is counted, and every page at the receiver.
"""

from __future__ import annotations

import collections
import contextlib
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from tests.proof.harness import (
    Figures,
    Postgres,
    Replica,
    Sending,
    Sink,
    Trouble,
    arguments,
    deploy,
    now_s,
    pause,
    say,
    wait_for,
    workplace,
)
from tests.proof.reckoning import Reckoning, reckon
from tocsin.core.events import NoticeDelivered, NoticeFailed, PageDelivered, PageFailed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.proof.sender import Accepted

HAND_OVER_S_MAX = 15.0
LADDER = (4, 9)
ROLES = ("on-call", "lead", "manager")
WAVE_S = 5.0
# An incident lives for so long: all its rungs come due meanwhile, and a repeat or two.
ENDS_AFTER_S = 45.0
SLOW_SHARE, SLOW_S = 0.3, 0.8


class Scale(msgspec.Struct, frozen=True):
    """How much is thrown at it. ``awake_min`` replicas are never stopped at once."""

    replicas: int
    stops: int
    stop_s_max: float
    awake_min: int
    rate: float

    @property
    def words(self) -> str:
        return (
            f"{self.stops} stops of 1 to {self.stop_s_max:g} s among {self.replicas} replicas, "
            f"{self.rate:g} incidents a second"
        )


class Stop(msgspec.Struct):
    """One stop of one replica, in UNIX seconds; ``until`` is when it is meant to end."""

    name: str
    at: float
    until: float


def main(argv: list[str] | None = None) -> int:
    parser = arguments("split-brain", __doc__)
    parser.add_argument("--stops", type=int, help="how many stops (300; short: 10)")
    parser.add_argument("--replicas", type=int, help="how many replicas (6; short: 3)")
    parser.add_argument("--longest", type=float, help="seconds of the longest stop (60; short: 12)")
    parser.add_argument("--rate", type=float, help="incidents a second", default=1.0)
    parser.add_argument("--keep", action="store_true", help="keep the files of the run")
    options = parser.parse_args(argv)
    short = options.short
    scale = Scale(
        replicas=options.replicas or (3 if short else 6),
        stops=options.stops or (10 if short else 300),
        stop_s_max=options.longest or (12.0 if short else 60.0),
        awake_min=1 if short else 2,
        rate=options.rate,
    )
    say(f"make split-brain: {scale.words}; seed {options.seed}")
    with workplace("split-brain", keep=options.keep) as folder:
        run = Run(folder, scale, random.Random(options.seed))  # noqa: S311 - a seed to tell
        run.run()
        status = run.figures(options.seed).finish(write=options.write)
        run.tell()
        if status:
            say(f"Every log is kept under {folder}; the same chances again: --seed {options.seed}")
            raise SystemExit(1)
    return status


class Run:
    """One run: the stops, the incidents, and what came of both."""

    def __init__(self, folder: Path, scale: Scale, chance: random.Random) -> None:
        self.folder, self.scale, self.chance = folder, scale, chance
        self.stops: list[Stop] = []
        self.sendings: list[tuple[float, Sending]] = []
        self.found: Reckoning
        self.accepted: list[Accepted] = []

    # -- The run -----------------------------------------------------------------------------------

    def run(self) -> None:
        with contextlib.ExitStack() as stack:
            self.sink = stack.enter_context(Sink(self.folder))
            deploy(
                self.folder,
                self.sink,
                {"P1": LADDER},
                repeat_every="20s",
                settings='[incidents]\nstability = "5s"',
            )
            database = stack.enter_context(Postgres(self.folder / "pg"))
            self.replicas = [
                Replica(self.folder, database.url, name=f"replica-{n + 1}")
                for n in range(self.scale.replicas)
            ]
            for replica in self.replicas:
                stack.enter_context(replica)
            self.sink.answer(delay_s=SLOW_S, share=SLOW_SHARE)
            self._stop_and_go()
            self._settle(database.url)
            self.found = reckon(database.url, self.sink.calls())

    def _stop_and_go(self) -> None:
        """Stop replicas, and let them go, while wave after wave of incidents comes."""
        asleep: dict[str, Stop] = {}
        mean_s = (1 + self.scale.stop_s_max) / 2
        at_once = self.scale.replicas - self.scale.awake_min
        next_stop = now_s() + 3.0
        next_wave = now_s()
        told_at = now_s()
        limit = now_s() + 120 + 3 * self.scale.stops * mean_s / at_once
        while len(self.stops) < self.scale.stops or asleep:
            now = now_s()
            if now > limit:
                raise Trouble(f"{len(self.stops)} of {self.scale.stops} stops in {limit:g} s")
            for replica in self.replicas:
                stop = asleep.get(replica.name)
                if stop is not None and now >= stop.until:
                    replica.thaw()
                    stop.until = now_s()
                    del asleep[replica.name]
                if replica.pid is None:
                    raise Trouble(f"{replica.name} ended by itself: {replica.log}")
            wanted = len(self.stops) < self.scale.stops
            if wanted and now >= next_stop and len(asleep) < at_once:
                awake = [r for r in self.replicas if r.name not in asleep]
                stop = self._stop(self.chance.choice(awake), now)
                asleep[stop.name] = stop
                next_stop = now + self.chance.uniform(0.2, 2.0) * mean_s / at_once
            if now >= next_wave:
                self._wave(now)
                next_wave = now + WAVE_S
            if now >= told_at + 30:
                told_at = now
                say(
                    f"  {len(self.stops)} of {self.scale.stops} stops, {len(asleep)} asleep, "
                    f"{len(self.sink.calls()):,} calls"
                )
            pause(0.02)

    def _stop(self, replica: Replica, now: float) -> Stop:
        stop = Stop(replica.name, now, now + self.chance.uniform(1.0, self.scale.stop_s_max))
        replica.freeze()
        self.stops.append(stop)
        return stop

    def _wave(self, now: float) -> None:
        """Open incidents, each for a service of its own; end those that have had their time."""
        at = datetime.now(UTC).isoformat()  # noqa: TID251 - a sender's own time
        wave = len(self.sendings)
        alerts = [
            {
                "labels": {
                    "alertname": f"wave-{wave}-{n}",
                    "service": f"wave-{wave}-{n}",
                    "severity": "P1",
                },
                "annotations": {"summary": f"Incident {n} of wave {wave}"},
                "startsAt": at,
            }
            for n in range(max(1, round(self.scale.rate * WAVE_S)))
        ]
        for sent_at, sending in self.sendings:
            if now - ENDS_AFTER_S - WAVE_S < sent_at <= now - ENDS_AFTER_S:
                alerts += [
                    {**each.alert, "endsAt": at}
                    for each in sending.accepted()
                    if "endsAt" not in each.alert
                ]
        inlets = [replica.inlet for replica in self.replicas]
        rate = len(alerts) / WAVE_S
        # One alert a request and a short patience: a sender must not wait for a stopped replica.
        sending = Sending(
            self.folder, inlets, alerts, rate, per_request=1, connections=4, timeout_s=2.0
        )
        self.sendings.append((now, sending))

    def _settle(self, url: str) -> None:
        """Let all that was asked for arrive: nobody sleeps any more."""
        for _, sending in self.sendings:
            sending.wait(60)
            self.accepted += sending.accepted()
        self.sink.answer()

        def quiet() -> bool:
            return not reckon(url, ()).left_over and not self._missed(
                reckon(url, self.sink.calls())
            )

        end = now_s() + LADDER[-1] + HAND_OVER_S_MAX + 10
        wait_for(
            lambda: now_s() > end or quiet(), LADDER[-1] + 60, "everything to be over", every_s=1
        )

    # -- What must be so ---------------------------------------------------------------------------

    def _wanted(self, found: Reckoning) -> dict[tuple[str, str], float]:
        """Return who must have been paged for which service, and when that came due.

        The first page is due when the alert was accepted; a rung so long after the incident began.
        """
        due: dict[tuple[str, str], float] = {}
        began = {
            state.service: state.started_at.timestamp()
            for state in found.incidents.values()
            if state.started_at is not None
        }
        for each in self.accepted:
            service = each.alert["labels"]["service"]
            if "endsAt" in each.alert:
                continue
            due[service, ROLES[0]] = each.at
            for who, delay_s in zip(ROLES[1:], LADDER, strict=True):
                due[service, who] = began.get(service, each.at) + delay_s
        return due

    def _missed(self, found: Reckoning) -> list[str]:
        return found.missed(self._wanted(found))

    def _late(self) -> dict[tuple[str, str], tuple[float, float]]:
        """Return for each page how late it was, and how long after the last stop that fell between.

        Whoever takes over may be stopped in turn, and the next has its own fifteen seconds.
        """
        first = self.found.first_pages()
        late = {}
        for key, due in self._wanted(self.found).items():
            if key not in first:
                continue
            stops = [stop.at for stop in self.stops if due <= stop.at < first[key]]
            late[key] = max(0.0, first[key] - due), first[key] - max([due, *stops])
        return late

    @property
    def _reported_twice(self) -> list[str]:
        kinds = (PageDelivered, PageFailed, NoticeDelivered, NoticeFailed)
        counted = collections.Counter(
            each.event.delivery
            for events in self.found.journal.values()
            for each in events
            if isinstance(each.event, kinds)
        )
        return [f"{key}: reported {number} times" for key, number in counted.items() if number > 1]

    def figures(self, seed: int) -> Figures:
        figures = Figures("split-brain", scale=self.scale.words, seed=seed)
        found = self.found
        late = self._late()
        raw = sorted(late_s for late_s, _ in late.values())
        after = sorted(after_s for _, after_s in late.values())
        asleep_s = sum(stop.until - stop.at for stop in self.stops)

        def none(name: str, rows: list[str]) -> None:
            figures.add(name, len(rows), 0, ok=not rows)

        figures.add(
            "stops", len(self.stops), f">= {self.scale.stops}", len(self.stops) >= self.scale.stops
        )
        figures.add("time stopped, of all replicas together", f"{asleep_s:,.0f} s")
        figures.add("incidents accepted", sum("endsAt" not in a.alert for a in self.accepted))
        none("accepted alerts lost", found.lost(self.accepted))
        figures.add("pages due", len(self._wanted(found)))
        none("pages missed", self._missed(found))
        none("pages asked for and never sent", found.undelivered)
        figures.add("pages at the receiver", len(found.pages))
        figures.add("of them again, under the same key", found.duplicates)
        none("acts doubled under another key", found.doubled_acts)
        none("keys that no journal knows", found.strange_keys)
        none("outcomes reported twice", self._reported_twice)
        figures.add("late, median", f"{raw[len(raw) // 2]:.2f} s")
        figures.add("late, worst", f"{raw[-1]:.1f} s")
        figures.add("pages more than 15 s late", sum(s > HAND_OVER_S_MAX for s in raw))
        figures.add(
            "hand-over, worst (since due, or since the last stop)",
            f"{after[-1]:.1f} s",
            f"<= {HAND_OVER_S_MAX:g} s",
            ok=after[-1] <= HAND_OVER_S_MAX,
        )
        none("states that no journal folds into", found.wrong_states)
        none("timers that are wrong", found.wrong_timers)
        none("left over", found.left_over)
        return figures

    def tell(self) -> None:
        """Say what broke, with the story of the first of each kind."""
        found = self.found
        slow = [
            f"{service}: {who} paged {late_s:.1f} s late, {after_s:.1f} s after the last stop"
            for (service, who), (late_s, after_s) in self._late().items()
            if after_s > HAND_OVER_S_MAX
        ]
        for kind, rows in {
            "lost": found.lost(self.accepted),
            "missed": self._missed(found),
            "too late": slow,
            "doubled acts": found.doubled_acts,
            "unknown keys": found.strange_keys,
            "reported twice": self._reported_twice,
            "never sent": found.undelivered,
            "wrong states": found.wrong_states,
            "wrong timers": found.wrong_timers,
            "left over": found.left_over,
        }.items():
            if rows:
                say(f"\n{kind} ({len(rows)}):", *(f"  {row}" for row in rows[:10]))
        for row in [*self._missed(found), *slow][:2]:
            service = row.split(":")[0]
            say(f"\nThe story of {service}:\n{found.story(service)}")
            say(*(f"  {s.name} stopped {s.at:.3f} to {s.until:.3f}" for s in self.stops))


if __name__ == "__main__":
    raise SystemExit(main())
