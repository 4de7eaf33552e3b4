"""The file in which a worker keeps who it is between two runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

DEFAULT_FILE: Final = ".openclaw-jobs-worker.json"


class StateError(Exception):
    """The state file can't be used; the message says why and what to do, for people."""


class WorkerState(msgspec.Struct, frozen=True, kw_only=True):
    """Which worker of which server: `token` is the secret that proves it."""

    url: str
    worker_id: str
    token: str


def load(file: Path, url: str) -> WorkerState | None:
    """Read the state for the server at `url`, or None if there is no file yet.

    Raises:
        StateError: the file can't be read, or belongs to another server.
    """
    try:
        state = msgspec.json.decode(file.read_bytes(), type=WorkerState)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"{file} can't be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StateError(
            f"{file} is not a worker's state file; name another with --state"
        ) from error
    if state.url.rstrip("/") != url.rstrip("/"):
        raise StateError(f"{file} belongs to {state.url}; name another with --state for {url}")
    return state


def save(file: Path, state: WorkerState) -> None:
    """Write the state for its owner alone (mode 0600), whole or not at all.

    Raises:
        StateError: the file can't be written.
    """
    draft = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as out:  # noqa: PTH123 - a descriptor, for its mode
            out.write(msgspec.json.format(msgspec.json.encode(state)) + b"\n")
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    except OSError as error:
        raise StateError(f"{file} can't be written: {error.strerror}") from error
