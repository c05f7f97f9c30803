"""PostgreSQL as a child of ours: private, small, started and stopped on purpose."""

from __future__ import annotations

from tocsin.store.embedded.account import reachable
from tocsin.store.embedded.errors import EmbeddedError
from tocsin.store.embedded.server import Embedded

__all__ = ["Embedded", "EmbeddedError", "reachable"]
