"""Doing something as another user, which only a process of its own can."""

from __future__ import annotations

import os
import pwd
import traceback
import warnings
from collections.abc import Callable


def as_user(name: str, act: Callable[[], None]) -> str:
    """Run ``act`` in a child that has become that user; return "" or the trace of what it raised.

    Needs root. A fork keeps what is imported, so that the user need not reach our files.
    """
    entry = pwd.getpwnam(name)
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # Later Pythons warn of threads that a fork leaves behind; this child needs none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        said = ""
        try:
            os.chdir("/")
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            act()
        except BaseException:  # noqa: BLE001 - it is told to the parent, whatever it is
            said = traceback.format_exc()
        os.write(writer, said[-60_000:].encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        said = told.read().decode()
    os.waitpid(child, 0)
    return said
