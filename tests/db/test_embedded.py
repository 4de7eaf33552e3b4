"""The embedded server: shared by its users, stopped by the last, and up again after any kill."""

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from openclaw_jobs.db.embedded import EmbeddedServer, EmbeddedServerError
from tests.conftest import TEST_SETTINGS, temporary_data_dir

USER = """
import sys
from openclaw_jobs.db.embedded import EmbeddedServer
with EmbeddedServer.start(sys.argv[1], settings={"fsync": "off"}) as server:
    print(server.postmaster_pid, flush=True)
    sys.stdin.read()
print("left", flush=True)
"""


class User:
    """Another process that uses the server until it is told to leave."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ready(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def leave(self) -> None:
        said, _ = self.process.communicate(timeout=60)
        assert said.endswith("left\n")

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A data directory whose cluster is made and stopped; made once, because initdb takes long."""
    with temporary_data_dir() as path:
        with EmbeddedServer.start(path, settings=TEST_SETTINGS):
            pass
        yield path


@pytest.fixture
def idle(made: Path) -> Iterator[Path]:
    """The same with nobody using it, and nothing left running when the test failed."""
    yield made
    with EmbeddedServer.start(made, settings=TEST_SETTINGS) as server:
        pass
    assert not answers(server)


def answers(server: EmbeddedServer) -> bool:
    try:
        psycopg.connect(server.dsn()).close()
    except psycopg.OperationalError:
        return False
    return True


def value(server: EmbeddedServer, query: str) -> object:
    with psycopg.connect(server.dsn()) as conn:
        row = conn.execute(query.encode()).fetchone()
    assert row is not None
    return row[0]


def wait_for(condition: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def test_starting_twice_joins_and_the_last_to_stop_stops_it(idle: Path) -> None:
    first = EmbeddedServer.start(idle, settings=TEST_SETTINGS)
    second = EmbeddedServer.start(idle)
    assert first.postmaster_pid == second.postmaster_pid
    assert first.dsn() == second.dsn()
    assert not first.stop()
    assert answers(second)
    assert second.stop()
    assert not answers(second)
    assert not second.stop()


def test_processes_share_it_and_the_last_to_leave_stops_it(idle: Path) -> None:
    other = User(idle)
    pid = other.ready()
    with EmbeddedServer.start(idle) as server:
        assert server.postmaster_pid == pid
    assert answers(server)
    other.leave()
    assert not answers(server)


def test_processes_that_start_it_at_once_from_nothing_share_it(data_dir: Path) -> None:
    users = [User(data_dir / "deep" / "down") for _ in range(3)]
    assert len({user.ready() for user in users}) == 1
    for user in users:
        user.leave()
    assert not (data_dir / "deep" / "down" / "postgres" / "postmaster.pid").exists()


def test_a_killed_user_does_not_count(idle: Path) -> None:
    user = User(idle)
    pid = user.ready()
    user.kill()
    server = EmbeddedServer.start(idle)
    assert server.postmaster_pid == pid
    assert server.stop()
    assert not answers(server)


def test_it_starts_again_after_the_server_was_killed(idle: Path) -> None:
    with EmbeddedServer.start(idle, settings=TEST_SETTINGS) as server:
        backends = [psycopg.connect(server.dsn()) for _ in range(5)]
        killed = server.postmaster_pid
        os.kill(killed, signal.SIGKILL)
        with EmbeddedServer.start(idle, settings=TEST_SETTINGS) as again:
            assert again.postmaster_pid != killed
            assert value(again, "SELECT 1") == 1
        for backend in backends:
            backend.close()


@pytest.mark.parametrize("how", ["killed", "stopped by hand"])
def test_a_watched_server_is_started_again_when_it_has_ended(idle: Path, how: str) -> None:
    with EmbeddedServer.start(idle, settings=TEST_SETTINGS) as server:
        ended = server.postmaster_pid
        with server.watched(every_s=0.05):
            os.kill(ended, signal.SIGKILL if how == "killed" else signal.SIGINT)
            wait_for(lambda: answers(server) and server.postmaster_pid != ended)
        assert value(server, "SHOW fsync") == "off"
        assert server.stop()
    assert not answers(server)


def test_two_that_watch_one_server_start_it_once(idle: Path) -> None:
    with (
        EmbeddedServer.start(idle, settings=TEST_SETTINGS) as one,
        EmbeddedServer.start(idle, settings=TEST_SETTINGS) as other,
    ):
        with one.watched(every_s=0.01), other.watched(every_s=0.01):
            ended = one.postmaster_pid
            os.kill(ended, signal.SIGKILL)
            wait_for(lambda: answers(one) and one.postmaster_pid != ended)
            again = one.postmaster_pid
        assert other.postmaster_pid == again
        assert answers(other)


def test_it_starts_again_after_everything_was_killed(idle: Path) -> None:
    user = User(idle)
    os.kill(user.ready(), signal.SIGKILL)
    user.kill()
    with EmbeddedServer.start(idle, settings=TEST_SETTINGS) as server:
        assert value(server, "SELECT 1") == 1


def leave_postmaster_pid(idle: Path, pid: int) -> None:
    with EmbeddedServer.start(idle, settings=TEST_SETTINGS) as server:
        content = (idle / "postgres" / "postmaster.pid").read_text().splitlines()
    assert not answers(server)
    (idle / "postgres" / "postmaster.pid").write_text("\n".join([str(pid), *content[1:], ""]))


@pytest.mark.parametrize("name", ["postgres", "sleep"])
def test_a_zombie_is_not_taken_for_a_server(idle: Path, tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    shutil.copy("/bin/sleep", program)
    zombie = subprocess.Popen([program, "600"])
    try:
        zombie.kill()
        deadline = time.monotonic() + 10
        while not gone(zombie.pid):
            assert time.monotonic() < deadline
        leave_postmaster_pid(idle, zombie.pid)
        with EmbeddedServer.start(idle, settings=TEST_SETTINGS) as server:
            assert value(server, "SELECT 1") == 1
    finally:
        zombie.wait()


@pytest.mark.parametrize("name", ["postgres", "sleep"])
def test_a_stranger_is_not_taken_for_a_server(idle: Path, tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    shutil.copy("/bin/sleep", program)
    stranger = subprocess.Popen([program, "600"], cwd=tmp_path)
    try:
        leave_postmaster_pid(idle, stranger.pid)
        with EmbeddedServer.start(idle, settings=TEST_SETTINGS) as server:
            assert server.postmaster_pid != stranger.pid
            assert value(server, "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_restart_keeps_settings_and_data(idle: Path) -> None:
    with EmbeddedServer.start(idle, settings=TEST_SETTINGS | {"work_mem": "7MB"}) as server:
        for immediate in (False, True):
            before = server.postmaster_pid
            server.restart(immediate=immediate)
            assert server.postmaster_pid != before
            assert value(server, "SHOW work_mem") == "7MB"


def test_a_forked_child_leaves_the_server_alone(idle: Path) -> None:
    with EmbeddedServer.start(idle, settings=TEST_SETTINGS) as server:
        child = os.fork()
        if child == 0:
            os._exit(0 if not server.stop() else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert answers(server)


def test_an_interrupted_start_leaves_nothing_running(
    idle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("openclaw_jobs.db.embedded._ensure_database", interrupt)
        with pytest.raises(KeyboardInterrupt):
            EmbeddedServer.start(idle, settings=TEST_SETTINGS)
    assert not (idle / "postgres" / "postmaster.pid").exists()


def test_an_interrupted_initdb_is_made_again(data_dir: Path) -> None:
    (data_dir / "postgres.new" / "base").mkdir(parents=True)
    (data_dir / "postgres.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedServer.start(data_dir, settings=TEST_SETTINGS) as server:
        assert value(server, "SELECT current_database()") == "openclaw"


@pytest.mark.parametrize("name", ["a" * 120, 'it\'s a "dir", 100% $HOME `x` \\n'])
def test_any_path_will_do(data_dir: Path, name: str) -> None:
    with EmbeddedServer.start(data_dir / name, settings=TEST_SETTINGS) as server:
        assert value(server, "SELECT 1") == 1
        # Whoever reaches the socket is superuser, so only its user may get that far.
        socket_dir = psycopg.conninfo.conninfo_to_dict(server.dsn())["host"]
        assert stat.S_IMODE(Path(str(socket_dir)).stat().st_mode) == 0o700
        server.restart(immediate=True)
        assert value(server, "SELECT 1") == 1
    assert (
        Path(str(socket_dir)) == data_dir / name / "postgres" or not Path(str(socket_dir)).exists()
    )


def test_the_tuned_settings_are_in_force(idle: Path) -> None:
    with EmbeddedServer.start(idle) as server:
        assert value(server, "SHOW max_connections") == "200"
        assert value(server, "SHOW listen_addresses") == ""
        assert value(server, "SHOW jit") == "off"
        assert value(server, "SHOW fsync") == "on"
        assert value(server, "SHOW timezone") == "UTC"
        errors = "SELECT count(*) FROM pg_file_settings WHERE error IS NOT NULL"
        assert value(server, errors) == 0


def test_the_servers_log_holds_nothing_a_user_wrote(idle: Path) -> None:
    secret = "correct-horse-battery-staple"
    with EmbeddedServer.start(idle, settings=TEST_SETTINGS) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as conn:
            conn.execute("CREATE TABLE texts (body text UNIQUE, CHECK (body <> 'x'))")
            for query, parameters in (
                ("INSERT INTO texts VALUES (%s), (%s)", (secret, secret)),
                (f"SELECT '{secret}'::int", ()),
                ("SELECT %s::jsonb", (f'{{"a": {secret}}}',)),
                (f"SELECT nothing /* {secret} */", ()),
            ):
                with pytest.raises(psycopg.Error):
                    conn.execute(query.encode(), parameters)
            conn.execute("DROP TABLE texts")
        server.restart(immediate=True)
    logs = [idle / "postgres" / "start.log", *(idle / "postgres" / "log").iterdir()]
    text = "".join(path.read_text() for path in logs)
    assert "ready to accept connections" in text
    assert secret not in text


def test_another_version_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(EmbeddedServerError, match=r"PostgreSQL 16.*pg_dump.*DATABASE_URL"):
        EmbeddedServer.start(tmp_path)


def test_something_else_in_its_place_is_refused_and_kept(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "novel.txt").write_text("chapter one")
    with pytest.raises(EmbeddedServerError, match="no PostgreSQL data directory"):
        EmbeddedServer.start(tmp_path)
    assert (tmp_path / "postgres" / "novel.txt").read_text() == "chapter one"


def test_a_file_in_the_way_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedServerError, match="--data-dir"):
        EmbeddedServer.start(tmp_path / "file")


def test_a_server_that_cannot_start_says_why(idle: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="max_connections"):
        EmbeddedServer.start(idle, settings={"max_connections": "-1"}, timeout_s=2)
