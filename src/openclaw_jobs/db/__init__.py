"""The way to PostgreSQL: the pool, the embedded server, and the migrations.

`Database` is what the rest of the package sees. `EmbeddedServer` and `migrate` are for the
composition root and for tests; import them from `openclaw_jobs.db.embedded` and
`openclaw_jobs.db.migrate`, so that a process on a real server never loads the embedded one.
"""

from openclaw_jobs.db.errors import DatabaseSetupError, is_unavailable
from openclaw_jobs.db.pool import Connection, Database
from openclaw_jobs.db.transactions import savepoint

__all__ = ["Connection", "Database", "DatabaseSetupError", "is_unavailable", "savepoint"]
