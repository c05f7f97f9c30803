"""Where a proof keeps its files, and what went wrong with one of its processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]


class Trouble(Exception):  # noqa: N818 - it says what is so
    """A process of the proof did not do what the proof needs: <which, what, where its log is>."""


@contextlib.contextmanager
def workplace(proof: str, *, keep: bool = False) -> Iterator[Path]:
    """A new folder that the database's user may enter; kept, and named, where the proof raises."""
    folder = Path(tempfile.mkdtemp(prefix=f"tocsin-{proof}-"))
    folder.chmod(0o711)
    try:
        yield folder
    except BaseException:
        say(f"The files of this run are kept in {folder}")
        raise
    if keep:
        say(f"The files of this run are kept in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


def now_s() -> float:
    """The wall clock, as every process of the machine sees it: UNIX seconds."""
    return time.time()  # noqa: TID251 - the world's own time is what a proof measures by


def say(*lines: str) -> None:
    """Tell whoever watches the proof, at once."""
    print(*lines, sep="\n", flush=True)  # noqa: T201 - it is a command


def pause(seconds: float) -> None:
    time.sleep(seconds)  # noqa: TID251 - a proof watches other processes


def wait_for(
    what: Callable[[], Any], seconds: float, why: str, *, every_s: float = 0.02
) -> Any:  # the first true result
    """Return the first true result of ``what``; raises Trouble when there is none in time."""
    end = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        if time.monotonic() > end:
            raise Trouble(f"waited {seconds:g} s in vain for {why}")
        pause(every_s)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def query(url: str, sql: str, *arguments: object) -> list[asyncpg.Record]:
    """Ask a database of the proof one question, on a connection of its own."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetch(sql, *arguments)
    finally:
        await connection.close()


def family(pid: int) -> list[int]:
    """Return a process and its children, the process first."""
    found = [pid]
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(after_name[1]) == pid:
                    found.append(int(entry.name))
    return found


def signal_all(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def kill_family(pid: int) -> None:
    """End a process and its children as a power cut would; returns when all of them are gone."""
    # Stopped first, so that none is born while we look.
    signal_all([pid], signal.SIGSTOP)
    pids = family(pid)
    signal_all(pids, signal.SIGKILL)
    wait_for(lambda: not any(alive(p) for p in pids[1:]), 10, f"the children of {pid} to end")


def alive(pid: int) -> bool:
    """Say whether a process runs; one that ended and was not yet asked about does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
