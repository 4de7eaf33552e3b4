"""A Redis of a test's own: the real server, on a free port of the loopback."""

import asyncio
import signal
import socket
import subprocess
from pathlib import Path

from redis.asyncio import Redis as Client
from redis.exceptions import RedisError

from tests import parts


class Redis:
    """Start it with `start`; `kill`, `freeze` and `thaw` are its bad days."""

    def __init__(self, folder: Path) -> None:
        self._program = parts.redis_server_path()
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it with nothing in it, and wait until it answers."""
        self._spawn()
        async with asyncio.timeout(20), Client.from_url(self.url) as client:
            while True:
                try:
                    await client.ping()
                except RedisError:
                    await asyncio.sleep(0.01)
                else:
                    return

    def _spawn(self) -> None:
        self._process = subprocess.Popen(
            [
                self._program,
                *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", self._folder),
                *("--save", "", "--appendonly", "no"),
            ],
            stdout=subprocess.DEVNULL,
        )

    async def keys(self) -> list[bytes]:
        """What it holds."""
        async with Client.from_url(self.url) as client:
            return [key if isinstance(key, bytes) else key.encode() for key in await client.keys()]

    def freeze(self) -> None:
        """Let it accept connections and answer none."""
        self._running.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._running.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once; harmless if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process
