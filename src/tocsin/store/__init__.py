"""All SQL, and the embedded database. Our rows are the truth; jobs only say which row to look at."""

from __future__ import annotations

from tocsin.store.connection import Connection
from tocsin.store.database import Database, Unavailable
from tocsin.store.migrate import MigrationError

__all__ = ["Connection", "Database", "MigrationError", "Unavailable"]
