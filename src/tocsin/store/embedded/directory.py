"""The data directory: what lies where, who may enter, and who holds it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from pathlib import Path

from tocsin.store.embedded.account import Account
from tocsin.store.embedded.errors import EmbeddedError

_SUGGESTION = "/var/lib/tocsin"
_BUILDING = "postgres.new-"
SOCKET_NAME = ".s.PGSQL.5432"
# The kernel takes 107 bytes; PostgreSQL makes a lock file beside the socket, ".lock" longer.
_SOCKET_PATH_BYTES_MAX = 100
_LOG_BYTES_MAX = 10 * 1_048_576


class DataDirectory:
    """One data directory, held by us from ``hold`` to ``release``.

    ``root`` is what the person named. ``cluster`` is PostgreSQL's own, ``password`` the file with
    its password, ``log`` what it says.
    """

    def __init__(self, root: Path, account: Account) -> None:
        self.root = root.absolute()
        self.cluster = self.root / "postgres"
        # A name of its own: an earlier start that was killed may have left an initdb that runs on.
        self.building = self.root / f"{_BUILDING}{secrets.token_hex(4)}"
        self.password_file = self.root / "postgres.password"
        self.log = self.root / "postgres.log"
        self._lock_file = self.root / "lock"
        self._account = account
        self._lock: int | None = None
        self._was_made = False

    def prepare(self) -> None:
        """Make the directory, enterable by the database's user and readable by nobody else.

        Raises EmbeddedError naming what stands in the way. Permissions of directories above it
        are never changed.
        """
        self._must_be_reachable()
        mode = 0o711 if self._account.dropped else 0o700
        try:
            self.root.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                self.root.mkdir(mode)
                self._was_made = True
                self.root.chmod(mode)
            if not self.root.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "it is a file")
            self._must_be_reachable()
            if not self._account.may_enter(self.root):
                self.root.chmod(self.root.stat().st_mode | 0o011)
        except OSError as error:
            raise EmbeddedError(
                f"The data directory {self.root} cannot be made: {error.strerror}. "
                "Choose another with --data."
            ) from error
        if not os.access(self.root, os.R_OK | os.W_OK | os.X_OK):
            if os.statvfs(self.root).f_flag & os.ST_RDONLY:
                raise EmbeddedError(
                    f"The data directory {self.root} lies on a file system that is mounted "
                    "read-only: mount it for writing, or choose another with --data."
                )
            raise EmbeddedError(
                f"The data directory {self.root} belongs to another user: "
                "choose another with --data."
            )
        self._must_be_private()
        owner = self.cluster.stat().st_uid if self.cluster.is_dir() else self._account.uid
        if owner != self._account.uid:
            raise EmbeddedError(
                f"The database in {self.cluster} belongs to user {owner}, and is to be run by "
                f"{self._account.name}: start Tocsin as its owner, or choose another --data."
            )

    def hold(self) -> None:
        """Take the directory for this process. Raises EmbeddedError while another has it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            lock = os.open(self._lock_file, flags, 0o600)
        except OSError as error:
            raise EmbeddedError(f"{self._lock_file} cannot be opened: {error.strerror}.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(lock, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise EmbeddedError(
                f"Another Tocsin (process {holder}) already runs on the data directory "
                f"{self.root}: stop it first, or choose another with --data."
            ) from error
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(lock)
            raise EmbeddedError(
                f"Nothing can be written into the data directory {self.root}: {error.strerror}. "
                "Make room there, or choose another with --data."
            ) from error
        self._lock = lock

    def discard(self) -> None:
        """Remove the database and all that belongs to it; nothing of what others put there.

        For a start that failed before anything of value was in it.
        """
        for tree in (self.cluster, *self.unfinished(), self.root / "socket"):
            shutil.rmtree(tree, ignore_errors=True)
        for file in (self.password_file, self.log):
            file.unlink(missing_ok=True)
        if self._was_made:
            self._lock_file.unlink(missing_ok=True)
            # Not empty: somebody else keeps something there.
            with contextlib.suppress(OSError):
                self.root.rmdir()

    def unfinished(self) -> list[Path]:
        """Return what was to become a database, of this start and of earlier ones."""
        return list(self.root.glob(f"{_BUILDING}*"))

    def release(self) -> None:
        """Let others have the directory."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def password(self) -> str:
        """Return the database's password, making it up when there is no database yet.

        The file is readable by whoever runs Tocsin, not by the user the database runs as.
        """
        try:
            kept = self.password_file.read_text("ascii").strip()
        except FileNotFoundError:
            kept = ""
        if kept:
            return kept
        if self.cluster.exists():
            raise EmbeddedError(
                f"{self.password_file} is missing, and the database in {self.cluster} opens with "
                "nothing else: bring it back from a backup."
            )
        made = secrets.token_urlsafe(32)
        written = os.open(self.password_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(written, made.encode())
            os.fsync(written)
        finally:
            os.close(written)
        return made

    def open_log(self) -> int:
        """Return a descriptor that appends to the log. A very long one is set aside first."""
        self.trim_log()
        return os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def trim_log(self) -> None:
        """Set a very long log aside. The server that writes it goes on at the new beginning."""
        with contextlib.suppress(OSError):
            if self.log.stat().st_size > _LOG_BYTES_MAX:
                shutil.copyfile(self.log, self.log.with_suffix(".log.old"))
                os.truncate(self.log, 0)

    def socket_directory(self) -> Path:
        """Return a private directory (0700, of the database's user) short enough for a socket.

        It is in the data directory if that path is short, else under the temporary directory by a
        name that follows from the path, so that a killed run leaves nothing that piles up.
        """
        inside = self.root / "socket"
        # The driver takes a comma for the end of one host and the beginning of the next.
        if _is_short(inside) and "," not in str(inside):
            if self._is_private(inside):
                return inside
            raise EmbeddedError(f"{inside} is not a private directory of {self._account.name}.")
        digest = hashlib.sha256(os.fsencode(self.root.resolve())).hexdigest()[:16]
        places = [Path(tempfile.gettempdir()), Path("/tmp")]  # noqa: S108 - checked to be private
        for place in places:
            outside = place / f"tocsin-{self._account.uid}-{digest}"
            if (
                _is_short(outside)
                and self._account.blocked_at(place) is None
                and self._is_private(outside)
            ):
                return outside
        raise EmbeddedError(
            f"There is no place for the database's socket: {self.root} is too long a path, and "
            f"{places[0]} cannot be used. Choose a shorter path with --data."
        )

    def forget_socket_directory(self, directory: Path) -> None:
        """Remove a socket directory that lies outside of the data directory."""
        if directory.parent != self.root:
            with contextlib.suppress(OSError):
                directory.rmdir()

    def _is_private(self, directory: Path) -> bool:
        """Make a directory for the database's user alone, or see whether it is one already."""
        try:
            directory.mkdir(0o700)
            if self._account.dropped:
                os.chown(directory, self._account.uid, self._account.gid)
        except FileExistsError:
            pass
        except OSError:
            return False
        found = directory.lstat()
        return (
            stat.S_ISDIR(found.st_mode)
            and found.st_uid == self._account.uid
            and stat.S_IMODE(found.st_mode) == 0o700
        )

    def _must_be_private(self) -> None:
        """Raise EmbeddedError where others could have put a token, a link or a database."""
        found = self.root.stat()
        if found.st_uid not in (0, os.geteuid(), self._account.uid):
            raise EmbeddedError(
                f"The data directory {self.root} belongs to another user: "
                "choose another with --data."
            )
        if found.st_mode & stat.S_IWOTH:
            raise EmbeddedError(
                f"Every user may write into the data directory {self.root}: see that all in it is "
                f"yours, then chmod o-w {self.root}, or choose another with --data."
            )

    def _must_be_reachable(self) -> None:
        blocked = self._account.blocked_at(self.root.parent)
        if blocked is not None:
            raise EmbeddedError(
                f"The database cannot live in {self.root}: it runs as the user "
                f"{self._account.name} (PostgreSQL refuses to run as root), who may not enter "
                f"{blocked}. Choose a place it can reach, e.g. --data {_SUGGESTION}."
                if self._account.dropped
                else f"The data directory {self.root} cannot be reached: "
                f"{self._account.name} may not enter {blocked}."
            )


def _is_short(directory: Path) -> bool:
    return len(os.fsencode(directory / SOCKET_NAME)) <= _SOCKET_PATH_BYTES_MAX
