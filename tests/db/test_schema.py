"""What the migrations make is what `schema.txt` declares."""

from openclaw_jobs.db.dump import SCHEMA_FILE, dump_schema


def test_the_migrations_make_the_declared_schema(dsn: str) -> None:
    declared = SCHEMA_FILE.read_text(encoding="utf-8")
    assert dump_schema(dsn) == declared, (
        "the migrations and schema.txt differ; if the migrations are right, run "
        "`python -m openclaw_jobs.db.dump --write`"
    )
