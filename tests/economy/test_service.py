"""The configuration in the database: seeded once, every version kept, writers in line."""

import asyncio
from typing import Any

import msgspec
import psycopg
import pytest

from openclaw_jobs.db import Database
from openclaw_jobs.economy import (
    DEFAULT_CONFIG,
    SECTIONS,
    ConfigChange,
    FieldChange,
    StoredConfigError,
    service,
)
from openclaw_jobs.kit.errors import FieldError, Problem


@pytest.fixture
async def seeded(db: Database) -> Database:
    async with db.transaction() as conn:
        await service.seed(conn)
    return db


async def put(
    db: Database, key: str, value: object, actor: str = "ann", version: int | None = None
) -> ConfigChange:
    async with db.transaction() as conn:
        return await service.put(conn, key, value, actor, version)


async def test_the_first_start_writes_the_defaults(db: Database) -> None:
    async with db.transaction() as conn:
        assert sorted(await service.seed(conn)) == sorted(SECTIONS)
    async with db.read() as conn:
        config = await service.load_all(conn)
        (version,) = await service.history(conn, "signup", 10)
    assert config == msgspec.structs.replace(DEFAULT_CONFIG, versions=dict.fromkeys(SECTIONS, 1))
    assert version.actor == "seed"


async def test_nodes_that_start_at_once_seed_once(db: Database) -> None:
    async def start() -> list[str]:
        async with db.transaction() as conn:
            return await service.seed(conn)

    written = await asyncio.gather(*(start() for _ in range(8)))
    assert sorted(key for keys in written for key in keys) == sorted(SECTIONS)


async def test_seeding_again_changes_nothing(seeded: Database) -> None:
    await put(seeded, "signup", {"bonus_cents": 7})
    async with seeded.transaction() as conn:
        assert await service.seed(conn) == []
        assert (await service.load_all(conn)).signup.bonus_cents == 7


async def test_a_key_that_was_lost_is_seeded_alone(dsn: str, db: Database) -> None:
    with psycopg.connect(dsn) as admin:
        admin.execute(
            "INSERT INTO config_versions (key, version, value, actor)"
            " VALUES ('signup', 1, '{\"bonus_cents\": 3}', 'ann')"
        )
    async with db.transaction() as conn:
        assert sorted(await service.seed(conn)) == sorted(SECTIONS.keys() - {"signup"})
        assert (await service.load_all(conn)).signup.bonus_cents == 3


async def test_a_write_is_a_new_version_with_its_author_and_time(seeded: Database) -> None:
    change = await put(seeded, "dispatch", {"lease_seconds": 5})
    assert change.previous_version == 1
    assert change.entry.version == 2
    assert change.changes == [FieldChange("lease_seconds", 120, 5)]
    assert change.entry.value == msgspec.structs.replace(DEFAULT_CONFIG.dispatch, lease_seconds=5)
    async with seeded.read() as conn:
        assert await service.get(conn, "dispatch") == change.entry
        assert change.entry in await service.list_all(conn)
        newest, oldest = await service.history(conn, "dispatch", 10)
        config = await service.load_all(conn)
    assert config.dispatch == change.entry.value
    assert config.versions == dict.fromkeys(SECTIONS, 1) | {"dispatch": 2}
    assert (newest.version, newest.actor, newest.value["lease_seconds"]) == (2, "ann", 5)
    assert (oldest.version, oldest.actor, oldest.value["lease_seconds"]) == (1, "seed", 120)
    assert newest.created_at > oldest.created_at
    assert newest.created_at.tzinfo is not None


async def test_the_history_is_read_in_pages(seeded: Database) -> None:
    for cents in range(5):
        await put(seeded, "signup", {"bonus_cents": cents})
    async with seeded.read() as conn:
        first = await service.history(conn, "signup", 4)
        second = await service.history(conn, "signup", 4, before=first[-1].version)
    assert [entry.version for entry in first + second] == [6, 5, 4, 3, 2, 1]


async def test_all_are_listed_in_the_order_they_are_documented(seeded: Database) -> None:
    async with seeded.read() as conn:
        assert [entry.key for entry in await service.list_all(conn)] == list(SECTIONS)


async def test_parallel_writes_wait_for_each_other_and_lose_nothing(seeded: Database) -> None:
    await put(seeded, "pricing", {"base_cents": {"default": 1}})
    names = ["per_1000_chars_cents", "min_cents"] * 5
    done = await asyncio.gather(
        *(put(seeded, "pricing", {name: 100 + n}, f"op{n}") for n, name in enumerate(names))
    )
    assert sorted(change.entry.version for change in done) == list(range(3, 13))
    async with seeded.read() as conn:
        versions = await service.history(conn, "pricing", 100)
    assert [v.version for v in versions] == list(range(12, 0, -1))
    assert sorted(v.actor for v in versions[:10]) == [f"op{n}" for n in range(10)]
    times = [v.created_at for v in versions]
    assert times == sorted(times, reverse=True)
    # Each version differs from the one before in what its author set and in nothing else.
    for change in done:
        (before,) = [v for v in versions if v.version == change.previous_version]
        after = msgspec.to_builtins(change.entry.value)
        differing = {name for name in after if after[name] != before.value[name]}
        assert differing == {field.field for field in change.changes}
        assert len(differing) == 1


async def test_of_parallel_writes_on_one_version_one_wins(seeded: Database) -> None:
    outcomes = await asyncio.gather(
        *(put(seeded, "signup", {"bonus_cents": n}, version=1) for n in range(10)),
        return_exceptions=True,
    )
    won = [o for o in outcomes if isinstance(o, ConfigChange)]
    lost = [o for o in outcomes if isinstance(o, Problem)]
    assert (len(won), len(lost)) == (1, 9)
    assert {problem.code for problem in lost} == {"validation_failed"}
    assert {problem.errors for problem in lost} == {
        (FieldError("version", "Version 2 is in force, not 1"),)
    }


async def test_times_rise_with_the_versions_whoever_began_first(seeded: Database) -> None:
    async with seeded.transaction() as early:
        await early.execute("SELECT 1")  # its now() stands from here on
        first = await put(seeded, "signup", {"bonus_cents": 1})
        second = await service.put(early, "signup", {"bonus_cents": 2}, "bob")
    assert second.entry.version == first.entry.version + 1
    assert second.entry.updated_at > first.entry.updated_at


async def test_writes_of_different_keys_do_not_wait(seeded: Database) -> None:
    async with seeded.transaction() as holding:
        await service.put(holding, "signup", {"bonus_cents": 1}, "ann")
        other = await asyncio.wait_for(put(seeded, "dispatch", {"strikes": 4}), timeout=10)
    assert other.entry.version == 2


async def test_a_write_that_is_rolled_back_leaves_no_version(seeded: Database) -> None:
    async def write() -> None:
        async with seeded.transaction() as conn:
            await service.put(conn, "signup", {"bonus_cents": 1}, "ann")
            raise LookupError

    with pytest.raises(LookupError):
        await write()
    async with seeded.read() as conn:
        assert (await service.get(conn, "signup")).version == 1


@pytest.mark.parametrize("value", [{"bonus_cents": -1}, {"unknown": 1}, 5, None])
async def test_a_wrong_value_writes_nothing(seeded: Database, value: object) -> None:
    with pytest.raises(Problem) as refused:
        await put(seeded, "signup", value)
    assert refused.value.code == "validation_failed"
    assert refused.value.errors
    async with seeded.read() as conn:
        assert (await service.get(conn, "signup")).version == 1


async def test_an_unknown_key_is_not_found(seeded: Database) -> None:
    async with seeded.transaction() as conn:
        for call in (
            service.get(conn, "nope"),
            service.put(conn, "nope", {}, "ann"),
            service.history(conn, "nope", 1),
        ):
            with pytest.raises(Problem) as refused:
                await call
            assert refused.value.code == "not_found"


async def test_an_unseeded_database_says_so(db: Database) -> None:
    async with db.transaction() as conn:
        calls: list[Any] = [
            service.load_all(conn),
            service.list_all(conn),
            service.get(conn, "signup"),
            service.put(conn, "signup", {}, "ann"),
        ]
        for call in calls:
            with pytest.raises(StoredConfigError, match="never seeded"):
                await call


async def test_a_stored_value_that_cannot_be_used_names_its_version(
    seeded: Database, dsn: str
) -> None:
    with psycopg.connect(dsn) as admin:
        admin.execute(
            "INSERT INTO config_versions (key, version, value, actor)"
            " VALUES ('signup', 2, '{\"bonus_cents\": -3}', 'by hand')"
        )
    async with seeded.read() as conn:
        with pytest.raises(StoredConfigError, match=r"version 2 of signup: .*bonus_cents"):
            await service.load_all(conn)


@pytest.mark.parametrize("table", ["config_versions", "audit_log"])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE {} SET actor = 'eve'", "DELETE FROM {}", "TRUNCATE {}"],
)
async def test_history_cannot_be_rewritten(
    seeded: Database, dsn: str, table: str, statement: str
) -> None:
    command = statement.format(table).encode()
    async with seeded.read() as conn:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await conn.execute(command)
    with psycopg.connect(dsn) as owner, pytest.raises(psycopg.errors.RestrictViolation):
        owner.execute(command)


@pytest.mark.parametrize(
    ("key", "version", "value", "actor"),
    [
        ("", 1, "{}", "ann"),
        ("signup", 0, "{}", "ann"),
        ("signup", 9, "[]", "ann"),
        ("signup", 9, "{}", ""),
    ],
)
async def test_the_table_refuses_what_makes_no_sense(
    seeded: Database, key: str, version: int, value: str, actor: str
) -> None:
    async with seeded.read() as conn:
        with pytest.raises(psycopg.errors.CheckViolation):
            await conn.execute(
                "INSERT INTO config_versions (key, version, value, actor) VALUES (%s, %s, %s, %s)",
                (key, version, value, actor),
            )
