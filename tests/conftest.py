"""What all tests share: the real PostgreSQL, and the rule that a skip can be made a failure."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from tocsin.store.database import Database
from tocsin.store.embedded import Embedded

_FORBID_SKIPS = os.environ.get("TOCSIN_FORBID_SKIPS") == "1"  # noqa: TID251 - set by CI, read once
_TEMPLATE = "tocsin_template"
_skips: list[tuple[str, str]] = []
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of samples beside the repository; a checkout of its own does not have it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip(f"the shared samples are not here ({folder})")
    return folder


@pytest.fixture(scope="session")
def enterable_dir() -> Iterator[Path]:
    """A directory that the database's user may enter, which pytest's own are not for root."""
    folder = Path(tempfile.mkdtemp(prefix="tocsin-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def embedded(enterable_dir: Path) -> Iterator[Embedded]:
    """One embedded PostgreSQL for all tests of this process."""
    server = asyncio.run(Embedded.start(enterable_dir / "data"))
    try:
        asyncio.run(_make_template(server.url))
        yield server
    finally:
        asyncio.run(server.stop())


@pytest.fixture
async def database_url(embedded: Embedded, anyio_backend: str) -> AsyncIterator[str]:
    """The URL of a fresh, migrated database that nobody else uses."""
    name = f"tocsin_{os.getpid()}_{next(_numbers)}"
    await _administer(embedded.url, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    yield _url_of(embedded.url, name)
    await _administer(embedded.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def embedded_url_empty(embedded: Embedded, anyio_backend: str) -> AsyncIterator[str]:
    """The URL of a fresh database without any table."""
    name = f"tocsin_{os.getpid()}_{next(_numbers)}"
    await _administer(embedded.url, f"CREATE DATABASE {name} TEMPLATE template0")
    yield _url_of(embedded.url, name)
    await _administer(embedded.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh, migrated database, opened."""
    opened = await Database.open(database_url)
    try:
        yield opened
    finally:
        await opened.close()


async def _make_template(url: str) -> None:
    await _administer(url, f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0")
    template = await Database.open(_url_of(url, _TEMPLATE), pool_size=1)
    await template.close()


async def _administer(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _url_of(url: str, name: str) -> str:
    return url.replace("@/tocsin?", f"@/{name}?")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "root_only: what only root can do: become somebody else")
    config.addinivalue_line("markers", "mounts: what mounts a file system of its own")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Left out, not skipped: for an ordinary user there is nothing there to test.
    if os.geteuid() != 0:
        left_out = [item for item in items if item.get_closest_marker("root_only")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("root_only")]
    if any(item.get_closest_marker("mounts") for item in items) and not _can_mount():
        left_out = [item for item in items if item.get_closest_marker("mounts")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("mounts")]


def _can_mount() -> bool:
    """Say whether this machine lets us mount; a container seldom does, even as root."""
    with tempfile.TemporaryDirectory(prefix="tocsin-test-") as folder:
        mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tocsin-test", folder]
        try:
            done = subprocess.run(mounting, capture_output=True, check=False)
        except OSError:
            return False
        if done.returncode == 0:
            subprocess.run(["umount", folder], check=True)
        return done.returncode == 0


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        _skips.append((report.nodeid, _reason(report.longrepr)))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped:
        _skips.append((report.nodeid, _reason(report.longrepr)))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    passed = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if _FORBID_SKIPS and _skips and passed:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _FORBID_SKIPS and _skips:
        terminalreporter.section("skipped, and skips are forbidden", red=True)
        for nodeid, reason in _skips:
            terminalreporter.line(f"{nodeid}: {reason}")


def _reason(longrepr: object) -> str:
    return str(longrepr[-1]) if isinstance(longrepr, tuple) else str(longrepr)
