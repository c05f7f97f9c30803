"""A disk that fails at a hundred points of the database's writing, and one that is really full.

A library of ours (faulty_disk.c), loaded into PostgreSQL, lets the nth write, sync or growth of a
file fail with EIO or ENOSPC, once or until it is taken back. Then a small file system is filled to
the last byte under a server with its embedded database, again and again. Alerts come in all the
while, each once: what was answered with 2xx must be there afterwards, whatever else was not.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import errno
import mmap
import random
import shutil
import struct
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import asyncpg
import httpx2
import msgspec

from tests.proof.harness import (
    ROOT,
    Figures,
    Postgres,
    Replica,
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

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

WRITES, SYNCS, GROWS = 1, 2, 4
BACK_S_MAX = 5.0
# An embedded database is started again by us, with a growing pause, and recovers first.
MENDED_S_MAX = 20.0
SENDERS = 3
_ORDER = struct.Struct("<qqiiii96s")
_REACH_S_MAX = 5.0
_STICKS_S = 1.0
_HANGS_S = 25.0
_DISK_MIB = 180


class Point(msgspec.Struct, frozen=True):
    """Where and how the disk fails: the nth concerned call from the order on."""

    error: int
    kinds: int
    part: str
    nth: int
    sticky: bool
    kill: bool

    @property
    def words(self) -> str:
        kinds = {WRITES: "write", SYNCS: "sync", GROWS: "growth"}
        what = " or ".join(word for kind, word in kinds.items() if self.kinds & kind)
        often = "and all after it" if self.sticky else "once"
        return (
            f"{errno.errorcode[self.error]} at {what} {self.nth} of {self.part or 'any'}, {often}"
        )


class Scale(msgspec.Struct, frozen=True):
    """How many points, and how often the small disk is filled."""

    points: int
    fillings: int


class Asked(msgspec.Struct, frozen=True):
    """One alert, offered once."""

    name: str
    service: str
    at: float
    status: int
    took_s: float


def main(argv: list[str] | None = None) -> int:
    parser = arguments("disk-full", __doc__)
    parser.add_argument("--points", type=int, help="how many points (100)")
    parser.add_argument("--fillings", type=int, help="how often the small disk is filled (10)")
    options = parser.parse_args(argv)
    scale = Scale(10, 1) if options.short else Scale(100, 10)
    scale = msgspec.structs.replace(
        scale,
        points=scale.points if options.points is None else options.points,
        fillings=scale.fillings if options.fillings is None else options.fillings,
    )
    with workplace("disk-full") as folder:
        chance = random.Random(options.seed)  # noqa: S311 - a seed that can be told
        faulty = FaultyDisk(folder, scale, chance)
        faulty.run()
        small = SmallDisk(folder, scale)
        small.run()
        figures = _figures(faulty, small, options.seed)
        status = figures.finish(write=options.write)
        if status:
            faulty.tell()
            small.tell()
            say(f"Every log is kept under {folder}; the same chances again: --seed {options.seed}")
            raise SystemExit(status)
    return status


# -- Alerts, each offered once ---------------------------------------------------------------------


class Senders:
    """Several threads that offer alerts to one replica, used as ``with``; ``service`` may change."""

    def __init__(self, replica: Replica) -> None:
        self.inlet = replica.inlet
        self.service = "calm"
        self.asked: list[Asked] = []
        self._over = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(SENDERS)
        ]

    def _run(self, thread: int) -> None:
        number = 0
        with httpx2.Client(timeout=30) as client:
            while not self._over.wait(0.02):
                number += 1
                service = self.service
                name = f"{service}-{thread}-{number}"
                labels = {"alertname": name, "service": service, "severity": "P1"}
                # Of some size, so that files grow while one watches.
                alert = {"labels": labels, "annotations": {"summary": "x" * 2_000}}
                began = now_s()
                try:
                    status = client.post(self.inlet, json=[alert]).status_code
                except httpx2.HTTPError:
                    status = 0
                self.asked.append(Asked(name, service, began, status, now_s() - began))

    def first_200_after(self, at: float) -> float | None:
        done = [a.at + a.took_s for a in self.asked if a.status == 200 and a.at + a.took_s >= at]
        return min(done) if done else None

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(40)


class _Part:
    """What both halves have in common: what was asked, and what must be so at the end."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.backs: list[tuple[float, str]] = []
        self.lost: list[str] = []
        self.unpaged: list[str] = []
        self.troubles: list[str] = []
        self.found: Reckoning | None = None

    def settle(self, url: str, sink: Sink) -> None:
        services = {a.service for a in self.asked if a.status == 200}
        ends = now_s() + 90

        def quiet() -> bool:
            paged = {call.body.get("service") for call in sink.calls()}
            return now_s() > ends or (services <= paged and not reckon(url, ()).left_over)

        wait_for(quiet, 120, "everything to be decided and sent", every_s=1)
        self.found = found = reckon(url, sink.calls())
        self.lost = [
            f"{a.name}: answered 200 and not there"
            for a in self.asked
            if a.status == 200 and a.name not in found.by_name
        ]
        paged = {call.body.get("service") for call in found.pages}
        self.unpaged = [f"{service}: nobody was paged" for service in sorted(services - paged)]

    @property
    def strange(self) -> list[str]:
        """Answers that are neither 200 nor 503."""
        return [f"{a.name}: {a.status}" for a in self.asked if a.status not in (200, 503)]

    def tell(self) -> None:
        found = self.found
        for kind, rows in {
            "lost": self.lost,
            "not paged": self.unpaged,
            "answered strangely": self.strange,
            "slow to come back": [f"{s:.1f} s: {words}" for s, words in self.backs if s > 5],
            "troubles": self.troubles,
            "wrong states": found.wrong_states if found else [],
            "left over": found.left_over if found else [],
        }.items():
            if rows:
                say(f"\n{type(self).__name__}, {kind} ({len(rows)}):", *rows[:10])


# -- A hundred points ------------------------------------------------------------------------------


class Shim:
    """The order that faulty_disk.c obeys, in a file that it and we map."""

    def __init__(self, folder: Path, under: Path) -> None:
        self.library = folder / "faulty_disk.so"
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise Trouble("there is no C compiler (cc) to build faulty_disk.c with")
        source = ROOT / "tests" / "proof" / "faulty_disk.c"
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", self.library, source, "-ldl"], check=True
        )
        self.library.chmod(0o755)
        self.file = folder / "faulty_disk.order"
        self.file.write_bytes(_ORDER.pack(-1, 0, 0, 0, 0, 0, b""))
        # The server runs as somebody else.
        self.file.chmod(0o666)
        with self.file.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _ORDER.size)
        self.environment = {
            "LD_PRELOAD": str(self.library),
            "FAULTY_DISK": str(self.file),
            "FAULTY_DISK_UNDER": f"{under}/",
        }

    @property
    def failed(self) -> int:
        return int(_ORDER.unpack(self._map[:])[1])

    def fail(self, point: Point) -> None:
        order = (0, point.error, point.kinds, int(point.sticky), 0, point.part.encode())
        # The count comes last: it is what puts the order in force.
        self._map[:] = _ORDER.pack(-1, *order)
        self._map[:8] = struct.pack("<q", point.nth)

    def heal(self) -> None:
        self._map[:8] = struct.pack("<q", -1)


class FaultyDisk(_Part):
    """One replica on a PostgreSQL whose disk fails at one point after the other."""

    def __init__(self, folder: Path, scale: Scale, chance: random.Random) -> None:
        super().__init__()
        self.folder = folder / "faulty"
        self.folder.mkdir(mode=0o711)
        self.scale, self.chance = scale, chance
        self.points = planned(scale.points, chance)
        self.met: collections.Counter[str] = collections.Counter()
        self.crashes = 0
        self.ended = 0
        self.refusals = 0

    def run(self) -> None:
        with contextlib.ExitStack() as stack:
            sink = stack.enter_context(Sink(self.folder))
            deploy(self.folder, sink, {"P1": ()}, repeat_every="1h")
            place = self.folder / "pg"
            self.shim = Shim(self.folder, place / "cluster")
            # Little memory, so that it writes its tables and not only its journal.
            settings = {"shared_buffers": "2MB", "max_wal_size": "64MB", "log_checkpoints": "off"}
            self.database = Postgres(place, settings, **self.shim.environment)
            stack.enter_context(self.database)
            replica = stack.enter_context(Replica(self.folder, self.database.url))
            with Senders(replica) as self.senders:
                for number, point in enumerate(self.points, 1):
                    self._at(number, point)
                    if number % 10 == 0:
                        self._progress(number)
                self.senders.service = "calm"
                pause(0.5)
            self.asked = self.senders.asked
            self.settle(self.database.url, sink)

    def _at(self, number: int, point: Point) -> None:
        self.senders.service = f"p{number}"
        pid, before = self.database.pid, self._said("PANIC:")
        self.shim.fail(point)
        ends = time.monotonic() + _REACH_S_MAX
        while time.monotonic() < ends and not self.shim.failed:
            # Most of what is not the journal is written when it says so.
            asyncio.run(self._checkpoint())
        if self.shim.failed:
            self.met[errno.errorcode[point.error]] += 1
        if point.sticky:
            pause(_STICKS_S)
        self.shim.heal()
        pause(0.1)
        self.crashes += self._said("PANIC:") > before
        self._bring_back(pid, point)

    def _bring_back(self, pid: int | None, point: Point) -> None:
        """Start it where it ended, or, now and then, kill it first; see how soon we are back."""
        if point.kill and self.database.pid is not None:
            self.database.stop("kill")
        if self.database.pid is None:
            self.ended += not point.kill
            self.database.start(wait=False)
        accepts = asyncio.run(self._accepts())
        back = wait_for(
            lambda: self.senders.first_200_after(accepts), 60, f"an alert to be taken ({point})"
        )
        self.backs.append((back - accepts, point.words))
        assert pid is not None

    def _said(self, word: str) -> int:
        return self.database.log.read_text(errors="replace").count(word)

    async def _checkpoint(self) -> None:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(self.database.url, timeout=2)
            try:
                await connection.execute("CHECKPOINT", timeout=5)
            finally:
                await connection.close(timeout=2)
        await asyncio.sleep(0.05)

    async def _accepts(self) -> float:
        """Wait until it accepts connections; be its operator meanwhile, as a system's manager is.

        PostgreSQL ends where recovery fails. Sometimes it only hangs then, and has to be ended.
        """
        began = time.monotonic()
        patience_s = _HANGS_S
        while time.monotonic() < began + 120:
            if time.monotonic() > began + patience_s:
                patience_s += _HANGS_S
                self.database.stop("kill")
            if self.database.pid is None:
                self.ended += 1
                self.database.start(wait=False)
            try:
                connection = await asyncpg.connect(self.database.url, timeout=2)
                await connection.close(timeout=2)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(0.02)
            else:
                return now_s()
        raise Trouble(f"PostgreSQL does not come back: see {self.database.log}")

    def _progress(self, number: int) -> None:
        asked = self.senders.asked
        taken = sum(a.status == 200 for a in asked)
        say(
            f"  point {number} of {len(self.points)}: {sum(self.met.values())} met, "
            f"{self.crashes} crashes, {taken:,} of {len(asked):,} alerts taken, "
            f"worst return {max(self.backs)[0]:.1f} s"
        )


def planned(count: int, chance: random.Random) -> list[Point]:
    """Return the points: both errors, every kind of call, journal and tables, evenly mixed."""
    places: list[tuple[str, int, int]] = [
        ("/pg_wal/", WRITES, 60),
        ("/pg_wal/", SYNCS, 60),
        ("/base/", WRITES, 20),
        ("/base/", GROWS, 4),
        ("/base/", SYNCS, 6),
        ("/pg_xact/", WRITES | SYNCS, 2),
        ("/global/", WRITES | SYNCS, 4),
        ("", WRITES | SYNCS | GROWS, 100),
    ]
    points = []
    for number in range(count):
        part, kinds, most = places[number % len(places)]
        points.append(
            Point(
                error=(errno.ENOSPC, errno.EIO)[(number // len(places)) % 2],
                kinds=kinds,
                part=part,
                nth=chance.randint(0, most),
                sticky=chance.random() < 0.5,
                kill=chance.random() < 0.4,
            )
        )
    chance.shuffle(points)
    return points


# -- A disk that is really full --------------------------------------------------------------------


class SmallDisk(_Part):
    """A server with its embedded database, all of it on a file system that is filled."""

    def __init__(self, folder: Path, scale: Scale) -> None:
        super().__init__()
        self.folder = folder / "small"
        self.folder.mkdir(mode=0o711)
        self.scale = scale
        self.skipped = ""
        self.refused = 0

    def run(self) -> None:
        with contextlib.ExitStack() as stack:
            try:
                disk = stack.enter_context(_mounted(self.folder / "disk"))
            except (OSError, subprocess.CalledProcessError) as error:
                self.skipped = f"this machine lets us mount nothing ({error})"
                return
            # Its log too: that nothing more can be said must not be what ends it.
            sink = stack.enter_context(Sink(self.folder))
            deploy(disk, sink, {"P1": ()}, repeat_every="1h")
            replica = stack.enter_context(Replica(disk))
            with Senders(replica) as self.senders:
                for number in range(1, self.scale.fillings + 1):
                    self._fill(disk, number)
                    if replica.pid is None:
                        raise Trouble(f"the server ended with {replica.status}: {replica.output}")
                self.senders.service = "calm"
                pause(0.5)
            self.asked = self.senders.asked
            self.settle(replica.sql_url, sink)

    def _fill(self, disk: Path, number: int) -> None:
        self.senders.service = f"full{number}"
        pause(0.5)
        filler = disk / "filler"
        began = now_s()
        ends = time.monotonic() + 6
        with filler.open("wb", buffering=0) as file:
            while time.monotonic() < ends:
                # Whatever anybody frees meanwhile is taken, too.
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(65_536))
                with contextlib.suppress(OSError):
                    file.write(bytes(512))
                pause(0.02)
        asked = [a for a in self.senders.asked if a.at >= began]
        self.refused += sum(a.status == 503 for a in asked)
        filler.unlink()
        freed = now_s()
        back = wait_for(
            lambda: self.senders.first_200_after(freed),
            120,
            f"an alert to be taken after filling {number}",
        )
        self.backs.append((back - freed, f"filling {number}"))
        say(f"  filling {number} of {self.scale.fillings}: taken again after {back - freed:.1f} s")


@contextlib.contextmanager
def _mounted(disk: Path) -> Iterator[Path]:
    disk.mkdir()
    options = f"size={_DISK_MIB}m,mode=711"
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tocsin-proof", str(disk)],
        check=True,
        capture_output=True,
    )
    try:
        yield disk
    except BaseException:
        kept: Any = disk.with_name("disk.kept")
        shutil.copytree(disk, kept, ignore=shutil.ignore_patterns("filler"), symlinks=True)
        raise
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


# -- Figures ---------------------------------------------------------------------------------------


def _figures(faulty: FaultyDisk, small: SmallDisk, seed: int) -> Figures:
    scale = f"{len(faulty.points)} points of a failing disk, {small.scale.fillings} fillings of one"
    figures = Figures("disk-full", scale=scale, seed=seed)
    met = sum(faulty.met.values())
    figures.add("points ordered", len(faulty.points))
    words = ", ".join(f"{count} {name}" for name, count in sorted(faulty.met.items()))
    figures.add(
        *("points met", f"{met} ({words})", f">= {len(faulty.points) * 3 // 4}"),
        ok=met >= len(faulty.points) * 3 // 4,
    )
    figures.add("crashes of the database by itself", faulty.crashes)
    figures.add("of them so that it had to be started", faulty.ended)
    parts = [faulty] if small.skipped else [faulty, small]
    if small.skipped:
        figures.add("small file system", f"left out: {small.skipped}")
    else:
        figures.add(
            *("fillings, requests refused with 503 meanwhile", small.refused, "> 0"),
            ok=small.refused > 0 or not small.scale.fillings,
        )
    asked = [a for part in parts for a in part.asked]
    figures.add("alerts offered", len(asked))
    figures.add("answered 200", sum(a.status == 200 for a in asked))
    figures.add("answered 503", sum(a.status == 503 for a in asked))
    _none(figures, "answered anything else, or not", [row for p in parts for row in p.strange])
    _none(figures, "answered 200 and not durable", [row for p in parts for row in p.lost])
    _none(figures, "services nobody was paged for", [row for p in parts for row in p.unpaged])
    worst = max(faulty.backs, default=(0.0, ""))[0]
    figures.add(
        "first alert taken, once the database accepts, worst",
        *(f"{worst:.1f} s", f"<= {BACK_S_MAX:g} s"),
        ok=worst <= BACK_S_MAX,
    )
    if not small.skipped:
        worst = max(small.backs, default=(0.0, ""))[0]
        figures.add(
            "first alert taken, once there is room, worst",
            *(f"{worst:.1f} s", f"<= {MENDED_S_MAX:g} s"),
            ok=worst <= MENDED_S_MAX,
        )
    for name in ("wrong_states", "left_over"):
        rows = [row for part in parts if part.found for row in getattr(part.found, name)]
        _none(figures, name.replace("_", " ").replace("wrong states", "wrong journals"), rows)
    return figures


def _none(figures: Figures, name: str, rows: list[str]) -> None:
    figures.add(name, len(rows), 0, ok=not rows)


if __name__ == "__main__":
    raise SystemExit(main())
