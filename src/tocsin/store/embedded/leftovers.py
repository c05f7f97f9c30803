"""What an earlier run left behind: an orphaned server of ours, or only its note.

``postmaster.pid`` names a process. After ``kill -9`` and a restart of the container, that number
may be anybody's, so it is believed only if that process really serves our directory.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tocsin.store.embedded.errors import EmbeddedError

_NOTE = "postmaster.pid"
_PROC = Path("/proc")
_LOOK_EVERY_S = 0.01
_RECOVERS = "postgres: startup"
# Fast shutdown, then immediate, then none at all. The next start recovers from each.
_PERSUASION = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))


def clear(cluster: Path) -> None:
    """Stop whatever still serves ``cluster`` and remove its note.

    The caller holds our lock, so nobody entitled to it does. Raises EmbeddedError if a process
    survives even ``kill -9``.
    """
    for number, wait_s in _PERSUASION:
        serving = _serving(cluster)
        if not serving:
            break
        leader = noted(cluster)
        # The leader takes its children along. Children without one leave by themselves, soon.
        chosen = [leader] if leader in serving and number != signal.SIGKILL else serving
        for pid in chosen:
            assert pid is not None
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        _wait_until_none(cluster, wait_s)
    left = _serving(cluster)
    if left:
        raise EmbeddedError(
            f"An earlier PostgreSQL (process {left[0]}) still uses {cluster} and does not stop."
        )
    (cluster / _NOTE).unlink(missing_ok=True)


def clear_sockets(directory: Path) -> None:
    """Remove the sockets in our private directory, and the notes beside them, once nobody serves.

    Such a note names a process too, and PostgreSQL refuses to start while that one lives, whoever
    it is by now.
    """
    for left in directory.glob(".s.PGSQL.*"):
        left.unlink(missing_ok=True)


def is_serving_or_recovering(cluster: Path) -> bool:
    """Say whether the server of ``cluster`` is ready, or at work to become so.

    A disk that fails a second time, during the recovery from the first, can leave a server that
    lives, refuses everybody, and recovers no more. Where processes cannot be looked at, it is
    believed.
    """
    lines = note(cluster)
    if len(lines) < 8 or lines[7].strip() != "starting":
        return True
    serving = _serving(cluster)
    return not _can_tell(serving) or any(_name_of(pid) == _RECOVERS for pid in serving)


def _can_tell(serving: Sequence[int]) -> bool:
    return any(_name_of(pid) for pid in serving)


def _name_of(pid: int) -> str:
    """Return what a process of PostgreSQL calls itself, such as "postgres: startup"; "" if gone."""
    try:
        said = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ""
    return " ".join(said.decode("utf-8", "replace").replace("\0", " ").split()[:2])


def noted(cluster: Path) -> int | None:
    """Return the process that ``postmaster.pid`` names, serving or not; None without a note."""
    lines = note(cluster)
    return int(lines[0]) if lines and lines[0].strip().isdigit() else None


def note(cluster: Path) -> Sequence[str]:
    """Return the lines of ``postmaster.pid``: process, directory, ..., and in the 8th the status."""
    try:
        return (cluster / _NOTE).read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ()


def _wait_until_none(cluster: Path, wait_s: float) -> None:
    ends = time.monotonic() + wait_s
    while _serving(cluster) and time.monotonic() < ends:
        time.sleep(_LOOK_EVERY_S)  # noqa: TID251 - in a thread, for a process that cannot call us


def _serving(cluster: Path) -> list[int]:
    """Return the PostgreSQL processes that work in ``cluster``: each one's working directory is it."""
    if not (_PROC / "self" / "cwd").exists():
        return _serving_without_proc(cluster)
    whole = str(cluster.resolve())
    found = []
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            # Gone meanwhile, or somebody else's, whose directory we may not see: not ours.
            with contextlib.suppress(OSError):
                here = os.readlink(entry / "cwd")
                if here == whole and os.readlink(entry / "exe").split("/")[-1] == "postgres":
                    found.append(int(entry.name))
    return found


def _serving_without_proc(cluster: Path) -> list[int]:
    pid = noted(cluster)
    if pid is None:
        return []
    shown = subprocess.run(  # noqa: S603 - fixed words and a number
        ["/bin/ps", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
    )
    return [pid] if "postgres" in shown.stdout and str(cluster) in shown.stdout else []
