"""The configuration in force, kept in memory by each process."""

import asyncio
import random
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

import psycopg
import structlog

from openclaw_jobs.db import Connection
from openclaw_jobs.economy import service
from openclaw_jobs.economy.models import Config, StoredConfigError

MAX_INTERVAL_S: Final = 2.0
"""A process looks for changes at least this often, so one is in force everywhere within 5 s."""

_MIN_INTERVAL_S: Final = MAX_INTERVAL_S / 2

_log = structlog.get_logger(__name__)


class ReadableDatabase(Protocol):
    """The part of `db.pool.Database` that the cache needs."""

    def read(self) -> AbstractAsyncContextManager[Connection]:
        """A connection for single statements."""
        ...


class ConfigCache:
    """Gives hot paths the configuration with no wait, and follows changes made on other nodes.

    While the database is away the last known configuration stays in force; that is logged once, and
    once more when it is back.

    Args:
        db: Where the configuration is read.
        rng: Spreads the look-ups of many processes; injected so that a test can hold it still.
    """

    def __init__(self, db: ReadableDatabase, *, rng: random.Random | None = None) -> None:
        self._db = db
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._config: Config | None = None
        self._following: asyncio.Task[None] | None = None
        # An older look-up must not overwrite what a newer one has found.
        self._refreshing = asyncio.Lock()
        self._failing = False

    @property
    def current(self) -> Config:
        """The configuration in force as last seen by this process.

        Raises:
            RuntimeError: `start` has not been awaited.
        """
        if self._config is None:
            raise RuntimeError("the configuration cache was not started")
        return self._config

    async def start(self) -> None:
        """Load the configuration and follow its changes until `stop`.

        Raises:
            StoredConfigError: It was never seeded, or this release cannot use what is stored.
            psycopg.Error: The database cannot be reached; without it there is nothing to go by.
        """
        if self._following is not None:
            raise RuntimeError("the configuration cache is already started")
        async with self._refreshing:
            await self._load_if_changed()
        self._following = asyncio.create_task(self._follow(), name="config-cache")

    async def stop(self) -> None:
        """End the following; `current` stays as it is. Safe to call twice."""
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def refresh(self) -> bool:
        """Look for changes now, so that a write made here is in force here at once.

        Returns:
            Whether `current` is now what the database holds. False means that the database could
            not be read; the last known configuration stays in force and the next look-up follows.
        """
        async with self._refreshing:
            try:
                await self._load_if_changed()
            except (psycopg.Error, OSError, StoredConfigError) as error:
                if not self._failing:
                    _log.warning("config_refresh_failed", error=str(error))
                self._failing = True
                return False
            if self._failing:
                _log.info("config_refresh_recovered")
            self._failing = False
            return True

    async def _load_if_changed(self) -> None:
        async with self._db.read() as conn:
            if self._config is not None:
                versions = await service.versions(conn)
                if versions == self._config.versions:
                    return
            self._config = await service.load_all(conn)
        _log.info("config_loaded", versions=self._config.versions)

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(self._rng.uniform(_MIN_INTERVAL_S, MAX_INTERVAL_S))
            try:
                await self.refresh()
            except Exception:  # noqa: BLE001 - whatever happened, changes must still be followed
                _log.exception("config_refresh_crashed")
