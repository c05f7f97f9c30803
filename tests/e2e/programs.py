"""Real processes for end-to-end tests: Tocsin itself, the demo's backend, Prometheus.

Each is a context manager that ends its process, and fails the test with the process's own output
when it does not start.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_S_MAX = 60
ROOT = Path(__file__).parents[2]


def wait_until(what: Callable[[], object], *, seconds: float = 30, why: str = "") -> object:
    """Return the first true result of ``what``; fail the test when there is none in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.05)  # noqa: TID251 - a test that watches other processes
    pytest.fail(f"waited {seconds} s in vain: {why or what}")


class Process:
    """A child with its output kept, line by line."""

    def __init__(self, *argv: str, **environment: str) -> None:
        inherited = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"}  # noqa: TID251
        self.child = subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**inherited, **environment},
            cwd=ROOT,
        )
        self.lines: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        for row in self.child.stdout:
            self.lines.append(row.rstrip("\n"))
        self.child.stdout.close()

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def line(self, pattern: str) -> re.Match[str]:
        """Return the first line of output that matches; fail with all output if it never comes."""
        end = time.monotonic() + START_S_MAX
        while time.monotonic() < end:
            for row in list(self.lines):
                if found := re.search(pattern, row):
                    return found
            if self.child.poll() is not None:
                time.sleep(0.1)  # noqa: TID251 - let the reader finish
                break
            time.sleep(0.02)  # noqa: TID251 - a test that watches another process
        pytest.fail(f"no line matches {pattern!r} in:\n{self.output}")

    def stop(self, number: int = signal.SIGTERM, seconds: float = 20) -> int:
        """Send a signal, wait, and return the exit status; kill what does not end in time."""
        if self.child.poll() is None:
            self.child.send_signal(number)
        try:
            return self.child.wait(seconds)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            pytest.fail(f"did not end within {seconds} s of signal {number}:\n{self.output}")


class Tocsin(Process):
    """``tocsin serve``, ready. ``api`` carries the admin token."""

    def __init__(self, runbook: Path, data: Path, *options: str, **environment: str) -> None:
        super().__init__(
            sys.executable, "-m", "tocsin", "serve", "--runbook", str(runbook),
            "--data", str(data), "--listen", "127.0.0.1:0", *options, **environment,
        )  # fmt: skip
        try:
            self.url = self.line(r"serves .* at (http://\S+)")[1]
        except BaseException:
            self.child.kill()
            raise
        self.data = data
        self.token = (data / "admin.token").read_text().strip()
        self.key = (data / "ingest.key").read_text().strip()
        self.api = httpx2.Client(
            base_url=self.url, timeout=15, headers={"Authorization": f"Bearer {self.token}"}
        )

    def kill(self) -> None:
        """End it as a power cut would."""
        self.api.close()
        self.child.kill()
        self.child.wait()

    def incidents(self, **query: str) -> list[dict]:
        return (
            self.api.get("/api/v1/incidents", params=query).raise_for_status().json()["incidents"]
        )

    def timeline(self, incident: str) -> list[dict]:
        path = f"/api/v1/incidents/{incident}/timeline"
        return self.api.get(path).raise_for_status().json()["timeline"]


@contextlib.contextmanager
def tocsin(runbook: Path, data: Path, *options: str, **environment: str) -> Iterator[Tocsin]:
    server = Tocsin(runbook, data, *options, **environment)
    try:
        yield server
    finally:
        server.api.close()
        server.stop()


@contextlib.contextmanager
def backend() -> Iterator[str]:
    """The demo's backend; yields its address."""
    process = Process(sys.executable, "-m", "tocsin.cli.backend")
    try:
        port = process.line(r"^(\d+) \d+$")[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        process.stop()


def program(name: str) -> str:
    """Return where a program is; skip the test, saying so, when it is not installed."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


@contextlib.contextmanager
def prometheus(folder: Path, config: str, rules: str) -> Iterator[str]:
    """A real Prometheus with these settings; yields its address."""
    program_path = program("prometheus")
    (folder / "rules.yml").write_text(rules)
    (folder / "prometheus.yml").write_text(config)
    port = free_port()
    process = Process(
        program_path,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--rules.alert.resend-delay=1s",
        "--log.level=warn",
    )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(f"{address}/-/ready"), why="Prometheus to be ready")
        yield address
    finally:
        process.stop()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=2).status_code == 200
    except httpx2.HTTPError:
        return False
