"""PostgreSQL refuses to run as root: as whom it runs then, and where that user may go."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path
from typing import NamedTuple

# Users that exist for this, best first; "nobody" is everywhere, and shared with others.
_UNPRIVILEGED = ("tocsin", "postgres", "nobody")


class Account(NamedTuple):
    """A user of the system. ``dropped`` says that we are root and become this user for it."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    dropped: bool

    def may_enter(self, directory: Path) -> bool:
        """Say whether this user may pass through a directory, by its permission bits."""
        found = directory.stat()
        if self.uid == 0:
            return True
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid or found.st_gid in self.groups:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)

    def blocked_at(self, path: Path) -> Path | None:
        """Return the topmost existing directory on the way to ``path`` that this user may not enter.

        ``path`` itself counts when it is a directory. None if the way is free.
        """
        whole = path.absolute().resolve()
        for directory in (*reversed(whole.parents), whole):
            if directory.is_dir() and not self.may_enter(directory):
                return directory
        return None


def account_for(cluster: Path) -> Account | None:
    """Return who runs the database kept in ``cluster``, which need not exist.

    An ordinary user runs it as itself. Root becomes the owner of an existing cluster, else the
    first of tocsin, postgres, nobody; None if the system has none of them.
    """
    uid = os.geteuid()
    if uid != 0:
        groups = tuple(os.getgroups())
        return Account(_name_of(uid), uid, os.getegid(), groups, dropped=False)
    wanted: list[int] = []
    if cluster.is_dir() and cluster.stat().st_uid != 0:
        wanted.append(cluster.stat().st_uid)
    for name in _UNPRIVILEGED:
        try:
            wanted.append(pwd.getpwnam(name).pw_uid)
        except KeyError:
            continue
    for candidate in wanted:
        try:
            entry = pwd.getpwuid(candidate)
        except KeyError:
            # PostgreSQL looks its own user up by number, and refuses one without a name.
            continue
        groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, groups, dropped=True)
    return None


def reachable(path: Path) -> Path | None:
    """Return the first directory on the way to ``path`` that the database's user may not enter.

    None if an embedded database can live there, as far as permissions go. ``path`` is what would
    be given as the data directory; it need not exist.
    """
    account = account_for(path / "postgres")
    if account is None:
        return None
    # The data directory itself is ours: its permissions can be made to fit.
    return account.blocked_at(path.absolute().resolve().parent)


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
