"""Alembic's environment: runs the revisions on the connection that `migrate` opened and locked."""

from alembic import context
from sqlalchemy import text

_FLOOR = """
INSERT INTO schema_floor (revision) VALUES (:revision)
ON CONFLICT (only_one) DO UPDATE SET revision = excluded.revision
"""

connection = context.config.attributes.get("connection")
if connection is None or context.is_offline_mode():
    raise RuntimeError("run `openclaw-jobs migrate`; revisions run on its locked connection only")
context.configure(connection=connection)
with context.begin_transaction():
    context.run_migrations()
    # With the revisions or not at all: a process of before must not start in between.
    exists = connection.execute(text("SELECT to_regclass('schema_floor') IS NOT NULL")).scalar()
    if exists:
        connection.execute(text(_FLOOR), {"revision": context.config.attributes["floor"]})
