"""Runtime configuration and the audit log, both append-only.

A change of the configuration is a new row, so every value that was ever in force is kept with who
set it and when. Both tables refuse UPDATE, DELETE and TRUNCATE, for the owner as well, and the
application role has no grant for them.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: str | None = None
depends_on: str | None = None

TABLES = """
CREATE TABLE config_versions (
    key        text COLLATE "C" NOT NULL,
    version    integer NOT NULL,
    value      jsonb NOT NULL,
    actor      text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (key, version),
    CONSTRAINT config_versions_key_named CHECK (key <> ''),
    CONSTRAINT config_versions_from_one CHECK (version >= 1),
    CONSTRAINT config_versions_is_object CHECK (jsonb_typeof(value) = 'object'),
    CONSTRAINT config_versions_actor_named CHECK (actor <> '')
);
COMMENT ON TABLE config_versions IS
    'Every value each configuration key ever had; the highest version is in force.';

CREATE TABLE audit_log (
    id         text COLLATE "C" PRIMARY KEY,
    actor      text NOT NULL,
    action     text NOT NULL,
    subject    text NOT NULL,
    detail     jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audit_log_actor_named CHECK (actor <> ''),
    CONSTRAINT audit_log_action_named CHECK (action <> ''),
    CONSTRAINT audit_log_is_object CHECK (jsonb_typeof(detail) = 'object')
);
COMMENT ON TABLE audit_log IS
    'What operators did: who, what, to which subject; the id sorts by time.';

REVOKE ALL ON config_versions, audit_log FROM openclaw_app;
GRANT SELECT, INSERT ON config_versions, audit_log TO openclaw_app;
"""

GUARDS = """
CREATE FUNCTION history_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'history_append_only',
              TABLE = TG_TABLE_NAME;
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON config_versions
    FOR EACH STATEMENT EXECUTE FUNCTION history_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION history_append_only();

-- Held in every session mode, also under session_replication_role = replica.
ALTER TABLE config_versions ENABLE ALWAYS TRIGGER append_only;
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER append_only;
"""


def upgrade() -> None:
    """Create the two tables and their guards."""
    op.execute(TABLES)
    op.execute(GUARDS)


def downgrade() -> None:
    """Drop what `upgrade` made; the history of the configuration goes with it."""
    op.execute("DROP TABLE audit_log, config_versions")
    op.execute("DROP FUNCTION history_append_only()")
