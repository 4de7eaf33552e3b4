"""The real program: it says when it answers, stops cleanly, and explains what it cannot do."""

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import psycopg
import pytest
import structlog

from openclaw_jobs.cli import main
from tests.conftest import Postgres

PROGRAM = Path(sys.executable).with_name("openclaw-jobs")
READY = "OpenClaw.jobs is ready at "


def environment(**extra: str) -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "TMPDIR")
    return {name: os.environ[name] for name in kept if name in os.environ} | extra


def run(*arguments: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PROGRAM, *arguments],
        env=environment(**environ),
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


class Running:
    """A server that was started, and its address once it has told it."""

    def __init__(self, *arguments: str | Path, **environ: str) -> None:
        self.process = subprocess.Popen(
            [PROGRAM, *arguments],
            env=environment(**environ),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith(READY):
            self.process.kill()
            raise AssertionError(f"{line!r} {self.process.communicate()}")
        self.url = line.removeprefix(READY).strip()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@contextlib.contextmanager
def running(*arguments: str | Path, **environ: str) -> Iterator[Running]:
    server = Running(*arguments, **environ)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.communicate()


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[str]:
    """A database without tables."""
    with postgres.database(template="template0") as dsn:
        yield dsn


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_on_an_empty_data_directory_answers_and_stops(
    data_dir: Path, number: signal.Signals
) -> None:
    with running("serve", "--port", "0", "--data-dir", data_dir) as server:
        health = httpx.get(f"{server.url}/api/health")
        assert health.status_code == 200
        assert health.json()["status"] == "ok"
        assert health.json()["database"]["ok"] is True
        assert (data_dir / "postgres" / "postmaster.pid").exists()
        code, out, err = server.stop(number)
    assert (code, out) == (0, "")
    assert "Traceback" not in err
    assert not (data_dir / "postgres" / "postmaster.pid").exists()


def test_a_stop_lets_parked_polls_go_with_204(empty: str) -> None:
    with running("serve", "--port", "0", DATABASE_URL=empty) as server:
        connected = httpx.post(f"{server.url}/api/worker/connect", json={})
        assert connected.status_code == 201
        token = connected.json()["token"]
        url = httpx.URL(server.url)
        with socket.create_connection((url.host, url.port), timeout=30) as parked:
            parked.sendall(
                f"GET /api/work/next?wait=60 HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {token}\r\n\r\n".encode()
            )
            wait_until_parked(empty)
            started = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            assert parked.recv(100).startswith(b"HTTP/1.1 204 ")
        assert server.process.wait(timeout=30) == 0
        assert time.monotonic() - started < 10


def wait_until_parked(dsn: str) -> None:
    """The node tells how many workers are parked with it."""
    deadline = time.monotonic() + 30
    with psycopg.connect(dsn, autocommit=True) as conn:
        while time.monotonic() < deadline:
            row = conn.execute("SELECT sum(parked_workers) FROM nodes").fetchone()
            if row is not None and row[0]:
                return
            time.sleep(0.05)
    raise AssertionError("no worker is parked")


def test_logs_of_production_are_json_and_standard_output_is_one_line(empty: str) -> None:
    secrets = {
        "ADMIN_TOKEN": "a-hunter2",
        "SESSION_SECRET": "s-hunter2",
        "STRIPE_SECRET_KEY": "k-hunter2",
        "STRIPE_WEBHOOK_SECRET": "w-hunter2",
    }
    with running(
        *("serve", "--port", "0"), DATABASE_URL=empty, OPENCLAW_ENV="production", **secrets
    ) as server:
        headers = {"Authorization": "Bearer a-hunter2"}
        answer = httpx.get(f"{server.url}/api/admin/config?x=hunter2", headers=headers)
        assert answer.status_code == 200
        code, out, err = server.stop()
    assert (code, out) == (0, "")
    lines = [json.loads(line) for line in err.splitlines()]
    (request,) = [line for line in lines if line["event"] == "request"]
    assert (request["caller"], request["route"]) == ("operator", "/api/admin/config")
    assert "hunter2" not in err


def test_a_taken_port_is_explained(empty: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = run("serve", "--port", port, DATABASE_URL=empty)
    assert result.returncode == 1
    assert "in use" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_host_that_is_none_is_named(empty: str) -> None:
    result = run("serve", "--host", "256.1.1.1", "--port", "0", DATABASE_URL=empty)
    assert result.returncode == 1
    assert "256.1.1.1" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("address", ["garbage", "postgresql://me:hunter%2@host/name"])
def test_an_address_that_is_none_is_explained_and_not_repeated(address: str) -> None:
    for command in (["serve", "--port", "0"], ["ledger", "verify"], ["migrate"]):
        result = run(*command, DATABASE_URL=address)
        assert result.returncode == 1
        assert result.stderr.startswith("DATABASE_URL is neither a URL")
        assert not any(word in result.stderr for word in ("Traceback", "hunter", "garbage"))


def test_web_and_background_want_a_migrated_database(empty: str) -> None:
    for command in (["web", "--port", "0"], ["ledger", "verify"]):
        result = run(*command, DATABASE_URL=empty)
        assert result.returncode == 1
        assert "openclaw-jobs migrate" in result.stderr
    migrated = run("migrate", "--json", DATABASE_URL=empty)
    assert json.loads(migrated.stdout)["revision"]
    with running("web", "--port", "0", DATABASE_URL=empty) as server:
        assert httpx.get(f"{server.url}/api/health").status_code == 200
        assert server.stop()[0] == 0
    with subprocess.Popen(
        [PROGRAM, "background"],
        env=environment(DATABASE_URL=empty, LOG_FORMAT="json"),
        text=True,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if json.loads(line)["event"] == "background_ready":
                break
        process.send_signal(signal.SIGTERM)
        assert "Traceback" not in process.stderr.read()
        assert process.wait(timeout=30) == 0


def test_a_database_that_is_not_there_is_explained() -> None:
    result = run("ledger", "verify", DATABASE_URL="postgresql://me:hunter2@127.0.0.1:1/x")
    assert result.returncode == 1
    assert "cannot be used" in result.stderr
    assert "Traceback" not in result.stderr
    assert "hunter2" not in result.stderr


def test_a_bad_environment_is_explained() -> None:
    result = run("serve", OPENCLAW_ENV="production")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "STRIPE_WEBHOOK_SECRET" in result.stderr


class Called(NamedTuple):
    code: int
    out: str
    err: str


class Cli:
    """The command line in this process: a program of its own takes seconds to start."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], dsn: str
    ) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.setenv("DATABASE_URL", dsn)

    def __call__(self, *arguments: str) -> Called:
        self._monkeypatch.setattr(sys, "argv", ["openclaw-jobs", *arguments])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code
        return Called(code if isinstance(code, int) else 0, *self._capsys.readouterr())


@pytest.fixture
def cli(
    dsn: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Cli]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    call = Cli(monkeypatch, capsys, dsn)
    assert call("migrate").code == 0
    yield call
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_buyer_is_made_once(cli: Cli) -> None:
    create = ["buyer", "create", "--email", "b@example.com", "--credit-cents", "500"]
    made = cli(*create)
    assert made.out.count("\n") == 1
    document = json.loads(made.out)
    assert set(document) == {"buyer_id", "api_key", "balance_cents"}
    assert document["balance_cents"] == 500
    again = cli(*create)
    assert (again.code, again.out) == (1, "")
    assert "already" in again.err
    assert cli("buyer", "create", "--email", "x@example.com", "--credit-cents", "-1").code == 2
    proof = cli("ledger", "verify", "--json")
    assert (proof.code, json.loads(proof.out)["transactions"]) == (0, 1)
    assert "adds up" in cli("ledger", "verify").out


def test_configuration_is_read_and_written(cli: Cli) -> None:
    every = cli("config", "get", "--json").out.splitlines()
    assert {json.loads(line)["key"] for line in every} >= {"pricing", "signup", "rate_limits"}
    written = cli("config", "set", "signup", '{"bonus_cents":7}', "--json")
    assert json.loads(written.out)["version"] == 2
    assert json.loads(cli("config", "get", "signup", "--json").out)["value"] == {"bonus_cents": 7}
    assert "bonus_cents" in cli("config", "get", "signup").out
    assert cli("config", "set", "signup", '{"bonus_cents":8}', "--version", "1").code == 1
    for value in ('{"bonus_cents":"7"}', '{"unknown":1}', "[]"):
        refused = cli("config", "set", "signup", value)
        assert refused.code == 1
        assert "signup" in refused.err
    assert cli("config", "set", "signup", "{").code == 2
    assert cli("config", "get", "nonsense").code == 1


def test_a_command_joins_the_server_that_runs(data_dir: Path) -> None:
    with running("serve", "--port", "0", "--data-dir", data_dir) as server:
        made = run(
            *("buyer", "create", "--email", "b@example.com", "--credit-cents", "9"),
            *("--data-dir", data_dir),
        )
        key = json.loads(made.stdout)["api_key"]
        answer = httpx.get(f"{server.url}/api/balance", headers={"Authorization": f"Bearer {key}"})
        assert answer.json()["balance_cents"] == 9


def test_version_and_help(cli: Cli) -> None:
    assert cli("--version").out.startswith("openclaw-jobs ")
    commands = cli("--help").out
    for command in ("serve", "web", "background", "migrate", "buyer", "ledger", "config"):
        assert command in commands
