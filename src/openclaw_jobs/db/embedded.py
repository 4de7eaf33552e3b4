"""The embedded PostgreSQL: one server for all processes that use one data directory.

Each process holds a shared lock on `<data_dir>/users.lock` while it uses the server. The last one
to leave finds that it can have the lock for itself, and stops the server. The kernel drops the
lock of a process that was killed, so nobody has to look for the dead. Starting and stopping
exclude each other by `<data_dir>/start.lock`.
"""

import fcntl
import logging
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import psycopg
from psycopg import sql

from openclaw_jobs.db.cluster import PORT, Cluster, EmbeddedServerError

__all__ = ["EmbeddedServer", "EmbeddedServerError"]

DATABASE = "openclaw"
_POLL_S = 0.05
# No system has a process of this number, so PostgreSQL knows that it is dead.
_DEAD_PID = 2**31 - 1
_SOCKET_DIR_LINE = 4  # of postmaster.pid, from zero
# How PostgreSQL says that children of a killed server are still attached to its memory.
_SHARED_MEMORY_IN_USE = b"pre-existing shared memory block"

_log = logging.getLogger(__name__)


class EmbeddedServer:
    """One process's hold on the embedded server. Use it as a context manager or call `stop`.

    Its methods block for up to their time-outs: call them from a thread in an event loop.
    """

    def __init__(
        self, cluster: Cluster, users_lock: int, socket_dir: Path, settings: Mapping[str, str]
    ) -> None:
        self._cluster = cluster
        self._users_lock: int | None = users_lock
        self._socket_dir = socket_dir
        self._settings = settings
        self._owner_pid = os.getpid()

    @classmethod
    def start(
        cls,
        data_dir: Path | str,
        *,
        settings: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
    ) -> Self:
        """Start the server in `<data_dir>/postgres`, making it first, or join the one that runs.

        Args:
            data_dir: The product's data directory.
            settings: PostgreSQL settings over those of the configuration file, for as long as
                the server runs; they have no effect on one that runs already.
            timeout_s: How long to wait for the server, and for others that start or stop it.

        Raises:
            EmbeddedServerError: It cannot run here; the message says what to do.
        """
        chosen = dict(settings or {})
        cluster = Cluster.at(Path(data_dir))
        deadline = time.monotonic() + timeout_s
        with _start_lock(cluster, deadline):
            cluster.ensure_made(durable=chosen.get("fsync") != "off")
            users_lock = _open_lock(cluster.data_dir / "users.lock")
            try:
                fcntl.flock(users_lock, fcntl.LOCK_SH)
                socket_dir = _ensure_running(cluster, chosen, deadline)
                _ensure_database(cluster.dsn(socket_dir, "postgres"))
            except BaseException:
                # Also when interrupted: a server that nobody came to use must not stay.
                try:
                    _leave(cluster, users_lock, timeout_s)
                except EmbeddedServerError:
                    _log.exception("PostgreSQL was left behind in %s", cluster.pgdata)
                finally:
                    os.close(users_lock)
                raise
        return cls(cluster, users_lock, socket_dir, chosen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    @property
    def data_dir(self) -> Path:
        """The product's data directory."""
        return self._cluster.data_dir

    @property
    def postmaster_pid(self) -> int:
        """The number of the server's first process.

        Raises:
            EmbeddedServerError: No server has written one.
        """
        state = _read_state(self._cluster)
        if state is None:
            raise EmbeddedServerError(f"no PostgreSQL runs in {self._cluster.pgdata}")
        return state[0]

    def dsn(self, database: str = DATABASE) -> str:
        """A libpq URL for `database`, as superuser."""
        return self._cluster.dsn(self._socket_dir, database)

    def stop(self, *, timeout_s: float = 60.0) -> bool:
        """Let go of the server, and stop it if nobody else uses it; true if it was stopped.

        Calling it again does nothing. In a forked child it only forgets what the parent holds.

        Raises:
            EmbeddedServerError: The server would not stop.
        """
        if self._users_lock is None:
            return False
        users_lock, self._users_lock = self._users_lock, None
        try:
            if os.getpid() != self._owner_pid:
                return False
            with _start_lock(self._cluster, time.monotonic() + timeout_s):
                return _leave(self._cluster, users_lock, timeout_s)
        finally:
            os.close(users_lock)

    @contextmanager
    def watched(self, *, every_s: float = 2.0) -> Iterator[None]:
        """Start the server again whenever it has ended, for as long as the block lasts.

        PostgreSQL recovers by itself from the death of a child, but nobody starts it again when
        its first process was killed, as the kernel does that is out of memory.
        """
        over = threading.Event()

        def watch() -> None:
            while not over.wait(every_s):
                self._revive()

        watching = threading.Thread(target=watch, name="embedded-postgresql", daemon=True)
        watching.start()
        try:
            yield
        finally:
            over.set()
            watching.join()

    def _revive(self, timeout_s: float = 60.0) -> None:
        """Start the server if it has ended. What keeps it from starting is logged."""
        state = _read_state(self._cluster)
        if state is not None and _is_live_postmaster(state[0], self._cluster.pgdata):
            return
        deadline = time.monotonic() + timeout_s
        try:
            with _start_lock(self._cluster, deadline):
                _ensure_running(self._cluster, self._settings, deadline)
        except (EmbeddedServerError, OSError):
            _log.exception("PostgreSQL in %s has ended; trying again soon", self._cluster.pgdata)
        else:
            _log.warning("PostgreSQL in %s had ended and was started", self._cluster.pgdata)

    def restart(self, *, immediate: bool = False, timeout_s: float = 60.0) -> None:
        """Restart the server; `immediate` is a crash with recovery, as after a power cut.

        Raises:
            EmbeddedServerError: It did not come back.
        """
        mode = "immediate" if immediate else "fast"
        with _start_lock(self._cluster, time.monotonic() + timeout_s):
            self._cluster.control("restart", "-m", mode, settings={}, timeout_s=timeout_s)


def _open_lock(path: Path) -> int:
    """Open a lock file; the descriptor is not inherited by programs we start."""
    return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)


@contextmanager
def _start_lock(cluster: Cluster, deadline: float) -> Iterator[None]:
    """Be the only one to start or stop this server. Raises `EmbeddedServerError` at `deadline`."""
    descriptor = _open_lock(cluster.data_dir / "start.lock")
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedServerError(
                        f"another process is still starting or stopping {cluster.pgdata}"
                    ) from None
                time.sleep(_POLL_S)
        yield
    finally:
        os.close(descriptor)


def _leave(cluster: Cluster, users_lock: int, timeout_s: float) -> bool:
    """Stop the server unless another holds the users' lock too; true if it was stopped."""
    try:
        fcntl.flock(users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return _shut_down(cluster, timeout_s)


def _ensure_running(cluster: Cluster, settings: Mapping[str, str], deadline: float) -> Path:
    """Return the socket directory of a server that answers, starting one if none does.

    Whether it answers is the only proof that counts: after a kill, postmaster.pid may name a
    zombie, or a number that another program has by now.
    """
    while True:
        state = _read_state(cluster)
        if state is not None and state[1] is not None and _answers(cluster, state[1]):
            return state[1]
        if state is None or not _is_live_postmaster(state[0], cluster.pgdata):
            _try_start(cluster, settings, deadline)
        elif time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"PostgreSQL in {cluster.pgdata} runs (process {state[0]}) and does not answer; "
                f"it may belong to another user. Its log ends:\n{cluster.log_tail()}"
            )
        else:
            time.sleep(_POLL_S)


def _try_start(cluster: Cluster, settings: Mapping[str, str], deadline: float) -> None:
    """Start the server, or return to be called again while a killed one's children still end.

    Raises:
        EmbeddedServerError: It does not start, with the end of its log.
    """
    _forget_dead_postmaster(cluster)
    timeout_s = max(5.0, deadline - time.monotonic())
    said_before = cluster.start_log.stat().st_size if cluster.start_log.exists() else 0
    try:
        cluster.control("start", settings=settings, timeout_s=timeout_s)
    except EmbeddedServerError as exc:
        said = cluster.start_log.read_bytes()[said_before:] if cluster.start_log.exists() else b""
        if _SHARED_MEMORY_IN_USE in said and time.monotonic() < deadline:
            time.sleep(_POLL_S)
            return
        raise EmbeddedServerError(
            f"PostgreSQL in {cluster.pgdata} does not start: {exc}\n{cluster.log_tail()}"
        ) from exc


def _forget_dead_postmaster(cluster: Cluster) -> None:
    """Make the lock files a dead server left name a process that cannot exist.

    PostgreSQL would take a zombie or a stranger of that number for a running server. Only the
    number changes: postmaster.pid also names the shared memory, from which PostgreSQL knows
    whether children of the dead server still work on the data, and then it must not start.
    """
    for path in (
        cluster.pgdata / "postmaster.pid",
        cluster.choose_socket_dir() / f".s.PGSQL.{PORT}.lock",
    ):
        with suppress(FileNotFoundError), path.open("r+", encoding="utf-8") as file:
            lines = file.readlines()
            file.seek(0)
            file.writelines([f"{_DEAD_PID}\n", *lines[1:]])
            file.truncate()


def _read_state(cluster: Cluster) -> tuple[int, Path | None] | None:
    """The process number and socket directory in postmaster.pid; None when there is no server.

    The socket directory is None while the server has not got that far.
    https://www.postgresql.org/docs/18/storage-file-layout.html
    """
    try:
        lines = (cluster.pgdata / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    if not lines or not lines[0].isdigit():
        return None
    socket_dir = lines[_SOCKET_DIR_LINE] if len(lines) > _SOCKET_DIR_LINE else ""
    return int(lines[0]), cluster.pgdata / socket_dir if socket_dir else None


def _answers(cluster: Cluster, socket_dir: Path) -> bool:
    """Tell whether a server serves this very data directory there."""
    try:
        with psycopg.connect(cluster.dsn(socket_dir, "postgres"), connect_timeout=5) as conn:
            row = conn.execute("SELECT current_setting('data_directory')").fetchone()
    except psycopg.OperationalError:
        return False
    return row is not None and Path(row[0]).samefile(cluster.pgdata)


def _is_live_postmaster(pid: int, pgdata: Path) -> bool:
    """Tell whether `pid` is a living PostgreSQL process of `pgdata`, not a zombie or a stranger."""
    process = Path(f"/proc/{pid}")
    if not Path("/proc/self/stat").exists():
        return _is_live_by_ps(pid)
    try:
        name, _, rest = (process / "stat").read_text(encoding="utf-8").rpartition(")")
        if "(postgres" not in name or rest.split()[0] in {"Z", "X"}:
            return False
        return (process / "cwd").readlink() == pgdata.resolve()
    except (FileNotFoundError, ProcessLookupError):
        return False
    except PermissionError:
        return True  # another user's PostgreSQL; that it does not answer must be said


def _is_live_by_ps(pid: int) -> bool:
    """The same on a system without /proc, by name and state only."""
    shown = subprocess.run(  # noqa: S603
        ("/bin/ps", "-o", "stat=,comm=", "-p", str(pid)),
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split(maxsplit=1)
    return len(shown) > 1 and not shown[0].startswith("Z") and "postgres" in shown[1]


def _ensure_database(admin_dsn: str) -> None:
    with psycopg.connect(admin_dsn, autocommit=True) as conn:
        found = conn.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
        if found.fetchone() is None:
            conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


def _shut_down(cluster: Cluster, timeout_s: float) -> bool:
    """Stop the server: fast, and if that takes too long, at once. False if none ran."""
    state = _read_state(cluster)
    if state is None or not _is_live_postmaster(state[0], cluster.pgdata):
        return False
    try:
        cluster.control("stop", "-m", "fast", settings={}, timeout_s=timeout_s)
    except EmbeddedServerError as exc:
        _log.warning("PostgreSQL would not stop in order, so it is stopped at once: %s", exc)
        cluster.control("stop", "-m", "immediate", settings={}, timeout_s=timeout_s)
    socket_dir = state[1]
    if socket_dir is not None and socket_dir != cluster.pgdata:
        # PostgreSQL takes its socket away; what else may be in that directory stays.
        with suppress(OSError):
            socket_dir.rmdir()
    return True
