"""Three replicas on a PostgreSQL that is stopped, crashed, killed and frozen every few seconds.

Alerts come in all the while, each of a service of its own, and every one of them climbs the whole
ladder: four people are to be paged for it. While the database is away each replica is asked, over
and over, to take one more alert; it must say 503, soon, and take one within five seconds once the
database accepts connections again. At the end everything is looked up in the tables.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import random
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import asyncpg
import httpx2
import msgspec

from tests.proof.harness import (
    PEOPLE,
    Figures,
    Postgres,
    Replica,
    Sending,
    Sink,
    arguments,
    deploy,
    now_s,
    pause,
    say,
    wait_for,
    workplace,
)
from tests.proof.reckoning import Reckoning, Uptime, reckon

if TYPE_CHECKING:
    from pathlib import Path

BACK_S_MAX = 5.0
LATE_S_MAX = 30.0
# A network or a server that says nothing is noticed by asking, which takes a few seconds.
REFUSAL_S_MAX = 10.0
REPLICAS = ("one", "two", "three")
WHO = tuple(PEOPLE)
How = Literal["fast", "immediate", "kill", "freeze"]
_HOWS: tuple[How, ...] = ("fast", "kill", "freeze", "immediate", "fast", "kill", "immediate")
_ASK_EVERY_S = 0.05


class Scale(msgspec.Struct, frozen=True):
    """How much is thrown at it. Between two faults lie so many seconds."""

    minutes: float
    escalations: int
    every_s: tuple[float, float]
    ladder: tuple[int, ...]

    @property
    def alerts(self) -> int:
        return max(1, self.escalations // len(WHO))


class Asked(msgspec.Struct, frozen=True):
    """One alert offered to one replica: when, its name, the answer (0 for none), and how soon."""

    replica: str
    name: str
    at: float
    status: int
    took_s: float


class Fault(msgspec.Struct):
    """One fault: from when it was done until the database accepted connections again."""

    how: How
    began: float
    accepts: float = 0.0
    asked: list[Asked] = msgspec.field(default_factory=list)

    def back_s(self, replica: str) -> float | None:
        """Return how long after that a replica committed first; None if it never did."""
        done = [a.at + a.took_s for a in self.asked if a.replica == replica and a.status == 200]
        after = [at for at in done if at >= self.accepts]
        return after[0] - self.accepts if after else None


def main(argv: list[str] | None = None) -> int:
    parser = arguments("chaos-db", __doc__)
    parser.add_argument("--minutes", type=float, help="for how long (30)")
    parser.add_argument("--escalations", type=int, help="how many pages are due (20,000)")
    options = parser.parse_args(argv)
    scale = (
        Scale(0.6, 320, (3.0, 7.0), (2, 4, 6))
        if options.short
        else Scale(30.0, 20_000, (5.0, 40.0), (5, 10, 20))
    )
    scale = msgspec.structs.replace(
        scale,
        minutes=options.minutes or scale.minutes,
        escalations=options.escalations or scale.escalations,
    )
    with workplace("chaos-db") as folder:
        chance = random.Random(options.seed)  # noqa: S311 - a seed that can be told
        chaos = Chaos(folder, scale, chance)
        chaos.run()
        figures = chaos.figures(options.seed)
        status = figures.finish(write=options.write)
        if status:
            chaos.tell()
            raise SystemExit(_kept(folder, options.seed))
    return status


def _kept(folder: Path, seed: int) -> int:
    say(f"Every log is kept under {folder}; the same chances again: --seed {seed}")
    return 1


class Asking(threading.Thread):
    """Offers a replica one alert after the other, until it took one after ``accepts`` was set."""

    def __init__(self, replica: Replica, fault: Fault, number: int) -> None:
        super().__init__(daemon=True)
        self.replica, self.fault, self.number = replica, fault, number
        self.enough = threading.Event()

    def run(self) -> None:
        with httpx2.Client(timeout=30) as client:
            tries = 0
            while not self.enough.is_set():
                name = f"ask-{self.replica.name}-{self.number}-{tries}"
                tries += 1
                began = now_s()
                try:
                    answer = client.post(self.replica.inlet, json=[_alert(name, "asked", "P3")])
                    status = answer.status_code
                except httpx2.HTTPError:
                    status = 0
                took_s = now_s() - began
                self.fault.asked.append(Asked(self.replica.name, name, began, status, took_s))
                if self.fault.accepts and status == 200 and began + took_s > self.fault.accepts:
                    return
                self.enough.wait(_ASK_EVERY_S)


class Chaos:
    """One run."""

    def __init__(self, folder: Path, scale: Scale, chance: random.Random) -> None:
        self.folder, self.scale, self.chance = folder, scale, chance
        self.uptime = Uptime()
        self.faults: list[Fault] = []
        self.found: Reckoning

    # -- The run -----------------------------------------------------------------------------------

    def run(self) -> None:
        with contextlib.ExitStack() as stack:
            self.sink = stack.enter_context(Sink(self.folder))
            deploy(self.folder, self.sink, {"P1": self.scale.ladder}, repeat_every="1h")
            self.database = stack.enter_context(Postgres(self.folder / "pg"))
            self.replicas = [Replica(self.folder, self.database.url, name=n) for n in REPLICAS]
            for replica in self.replicas:
                stack.enter_context(replica)
            self.uptime.up(now_s())
            self._faults()
            self._settle()
            self.found = reckon(self.database.url, self.sink.calls())
            self._judge()

    def _faults(self) -> None:
        alerts = [_alert(f"A{n}", f"s{n}", "P1") for n in range(self.scale.alerts)]
        ends = time.monotonic() + self.scale.minutes * 60
        rate = self.scale.alerts / (self.scale.minutes * 60 * 0.95)
        inlets = [replica.inlet for replica in self.replicas]
        sending = Sending(self.folder, inlets, alerts, rate, per_request=1, connections=16)
        try:
            while True:
                pause(self.chance.uniform(*self.scale.every_s))
                if time.monotonic() > ends:
                    break
                self._fault(_HOWS[len(self.faults) % len(_HOWS)])
                if len(self.faults) % 10 == 0:
                    self._progress(sending)
            sending.wait(120)
        finally:
            sending.stop()
        self.accepted = sending.accepted()
        self.answers = sending.answers()

    def _fault(self, how: How) -> None:
        fault = Fault(how, now_s())
        self.faults.append(fault)
        asking = [Asking(replica, fault, len(self.faults)) for replica in self.replicas]
        for thread in asking:
            thread.start()
        self.uptime.down(now_s())
        # Mostly it is back at once; sometimes it is away for a while.
        away_s = self.chance.choice((0.0, 0.0, 0.5, self.chance.uniform(2, 8)))
        if how == "freeze":
            self.database.freeze()
            pause(4 + away_s)
            self.database.thaw()
        else:
            self.database.stop(how)
            pause(away_s)
            self.database.start(wait=False)
        fault.accepts = asyncio.run(self._accepts())
        self.uptime.up(fault.accepts)
        for thread in asking:
            thread.join(30)
            thread.enough.set()
        for thread in asking:
            thread.join(30)

    async def _accepts(self) -> float:
        """Return when the database accepts connections and answers on them."""
        while True:
            try:
                connection = await asyncpg.connect(self.database.url, timeout=2)
                await connection.close(timeout=2)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.01)
            else:
                return now_s()

    def _progress(self, sending: Sending) -> None:
        worst = max((s for s in self._backs() if s is not None), default=0.0)
        say(
            f"  {len(self.faults)} faults, worst reconnect {worst:.1f} s, "
            f"{len(sending.accepted()):,} alerts accepted, {len(self.sink.calls()):,} calls"
        )

    def _settle(self) -> None:
        longest = max(self.scale.ladder)
        deadline = now_s() + longest + LATE_S_MAX + 10

        def quiet() -> bool:
            if now_s() > deadline:
                return True
            paged = {(call.body.get("service"), call.contact) for call in self.sink.calls()}
            return self._wanted().keys() <= paged and not reckon(self.database.url, ()).left_over

        wait_for(quiet, longest + LATE_S_MAX + 60, "everything to be over", every_s=1)

    # -- What must be so ---------------------------------------------------------------------------

    def _wanted(self) -> dict[tuple[str, str], float]:
        due = {}
        for each in self.accepted:
            service = each.alert["labels"]["service"]
            for who, delay_s in zip(WHO, (0, *self.scale.ladder), strict=True):
                due[service, who] = each.at + delay_s
        return due

    def _backs(self) -> list[float | None]:
        return [fault.back_s(name) for fault in self.faults for name in REPLICAS]

    def _judge(self) -> None:
        found, wanted = self.found, self._wanted()
        self.wanted = wanted
        self.missed = found.missed(wanted)
        first = found.first_pages()
        self.late = sorted(
            (self.uptime.between(due, first[key]), key)
            for key, due in wanted.items()
            if key in first
        )
        self.lost = found.lost(self.accepted)
        self.lost += [
            f"{asked.name}: answered 200, and on no desk"
            for fault in self.faults
            for asked in fault.asked
            if asked.status == 200 and asked.name not in found.by_name
        ]

    def figures(self, seed: int) -> Figures:
        scale = self.scale
        figures = Figures(
            "chaos-db",
            scale=f"three replicas, PostgreSQL stopped, crashed, killed or frozen every "
            f"{scale.every_s[0]:g}-{scale.every_s[1]:g} s for {scale.minutes:g} min",
            seed=seed,
        )
        kinds = collections.Counter(fault.how for fault in self.faults)
        figures.add("faults", ", ".join(f"{count} {how}" for how, count in sorted(kinds.items())))
        figures.add("alerts accepted", len(self.accepted), scale.alerts, self._all_accepted())
        _none(figures, "accepted alerts lost", self.lost)
        figures.add("escalations due", len(self.wanted))
        _none(figures, "escalations missed", self.missed)
        worst = self.late[-1][0] if self.late else 0.0
        figures.add("lateness once up, median", f"{self.late[len(self.late) // 2][0]:.1f} s")
        figures.add(
            *("lateness once up, worst", f"{worst:.1f} s", f"<= {LATE_S_MAX:g} s"),
            ok=worst <= LATE_S_MAX,
        )
        backs = self._backs()
        known = sorted(s for s in backs if s is not None)
        figures.add("first commit of a replica after that, median", f"{_middle(known):.2f} s")
        figures.add(
            *("the same, worst", f"{known[-1]:.2f} s", f"<= {BACK_S_MAX:g} s"),
            ok=None not in backs and known[-1] <= BACK_S_MAX,
        )
        self._add_refusals(figures)
        pages = len(self.found.pages)
        again = self.found.duplicates
        figures.add("pages again, under the same key", f"{again} of {pages}")
        _none(figures, "acts doubled under another key", self.found.doubled_acts)
        _none(figures, "streams whose journal folds otherwise", self.found.wrong_states)
        _none(figures, "inputs, deliveries, bytes left over", self.found.left_over)
        return figures

    def _add_refusals(self, figures: Figures) -> None:
        asked = [a for fault in self.faults for a in fault.asked]
        statuses = collections.Counter(a.status for a in asked) + self.answers
        strange = {status: n for status, n in statuses.items() if status not in (200, 503)}
        figures.add(
            "answers while it was away and after",
            f"{statuses[200]:,} x 200, {statuses[503]:,} x 503, others: {strange or 'none'}",
            "200 or 503",
            ok=not strange,
        )
        slowest = max(asked, key=lambda a: a.took_s)
        figures.add(
            *("slowest answer", f"{slowest.took_s:.1f} s", f"<= {REFUSAL_S_MAX:g} s"),
            ok=slowest.took_s <= REFUSAL_S_MAX,
        )

    def _all_accepted(self) -> bool:
        return len(self.accepted) == self.scale.alerts

    def tell(self) -> None:
        """Say what broke."""
        late = [f"{key[0]}: {key[1]} {s:.0f} s late" for s, key in self.late if s > LATE_S_MAX]
        slow = [
            f"{fault.how} at {datetime.fromtimestamp(fault.began, UTC):%H:%M:%S}: {name} after "
            f"{fault.back_s(name)} s"
            for fault in self.faults
            for name in REPLICAS
            if (fault.back_s(name) or 1e9) > BACK_S_MAX
        ]
        waited = [
            f"{a.replica} at {datetime.fromtimestamp(a.at, UTC):%H:%M:%S} {a.status}: {a.took_s} s"
            for fault in self.faults
            for a in fault.asked
            if a.took_s > REFUSAL_S_MAX or a.status not in (200, 503)
        ]
        for kind, rows in {
            "lost": self.lost,
            "missed": self.missed,
            "late": late,
            "slow to reconnect": slow,
            "answered late or strangely": waited,
            "doubled acts": self.found.doubled_acts,
            "wrong states": self.found.wrong_states,
            "left over": self.found.left_over,
        }.items():
            if rows:
                say(f"\n{kind} ({len(rows)}):", *(f"  {row}" for row in rows[:10]))
        for row in [*self.missed, *late][:2]:
            service = row.split(":")[0]
            say(f"\nThe story of {service}:\n{self.found.story(service)}")


def _alert(name: str, service: str, severity: str) -> dict:
    return {
        "labels": {"alertname": name, "service": service, "severity": severity},
        "annotations": {"summary": name},
    }


def _none(figures: Figures, name: str, rows: list[str]) -> None:
    figures.add(name, len(rows), 0, ok=not rows)


def _middle(values: list[float]) -> float:
    return values[len(values) // 2] if values else 0.0


if __name__ == "__main__":
    raise SystemExit(main())
