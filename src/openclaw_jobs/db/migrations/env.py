"""Alembic's environment: runs the revisions on the connection that `migrate` opened and locked."""

from alembic import context

connection = context.config.attributes.get("connection")
if connection is None or context.is_offline_mode():
    raise RuntimeError("run `openclaw-jobs migrate`; revisions run on its locked connection only")
context.configure(connection=connection)
with context.begin_transaction():
    context.run_migrations()
