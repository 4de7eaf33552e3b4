"""Programs of the system that some tests need; a test without its program is skipped.

`ops/install-test-parts.sh` installs them, and `make test` runs it first. In CI a skip fails.
"""

import os
import shutil
from pathlib import Path

import pytest

from openclaw_jobs.db.cluster import _install_dir

_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"))
"""Daemons are where only root's PATH leads."""


def chromium_path() -> Path:
    """A browser of Chromium's family; as root it must be started with `--no-sandbox`."""
    return _find("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


def redis_server_path() -> Path:
    """The server of Redis."""
    return _find("redis-server")


def pgbouncer_path() -> Path:
    """PgBouncer, which refuses to run as root."""
    return _find("pgbouncer")


def faketime_path() -> Path:
    """A program that lets another see a clock that is wrong."""
    return _find("faketime")


def postgres_program(name: str) -> Path:
    """A program of the embedded PostgreSQL, for instance `pg_dump`: of its version, always here."""
    found = _install_dir() / "bin" / name
    assert found.is_file(), f"the embedded PostgreSQL has no {name}"
    return found


def _find(*names: str) -> Path:
    for name in names:
        if found := shutil.which(name, path=_PATH):
            return Path(found)
    pytest.skip(f"{names[0]} is not on this machine; as root, `make parts` installs it")
