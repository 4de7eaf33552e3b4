"""The schema as text: what the migrations make, for a person to read and a test to compare.

`python -m openclaw_jobs.db.dump` prints the schema of `DATABASE_URL`, or of a throw-away embedded
server when that is unset; `--write` puts it into `schema.txt` beside this file. It reads the
catalogue and so tells the same on every PostgreSQL from 15 on; pg_dump's output would not.
"""

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import psycopg
from psycopg.rows import TupleRow

from openclaw_jobs.db.dsn import libpq_dsn
from openclaw_jobs.db.embedded import EmbeddedServer
from openclaw_jobs.db.migrate import migrate

__all__ = ["SCHEMA_FILE", "dump_schema"]

SCHEMA_FILE = Path(__file__).parent / "schema.txt"
_APP_ROLE = "openclaw_app"
# Alembic's own table, which is the same in every version of the schema.
_NOT_OURS = "alembic_version"

_COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), co.collname,
       a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_collation co ON co.oid = a.attcollation AND a.attcollation <> t.typcollation
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
ORDER BY c.relname COLLATE "C", a.attnum
"""
_TABLES = """
SELECT c.relname, c.relkind::text, c.relpersistence::text, c.reloptions,
       CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
       pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid)
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
ORDER BY c.relname COLLATE "C"
"""
# From PostgreSQL 18 on NOT NULL is a constraint with a name; the column tells it already.
_CONSTRAINTS = """
SELECT c.relname, k.conname, pg_get_constraintdef(k.oid, true)
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
WHERE c.relnamespace = 'public'::regnamespace AND k.contype <> 'n' AND k.contype <> 't'
ORDER BY c.relname COLLATE "C", k.contype <> 'p', k.conname COLLATE "C"
"""
_INDEXES = """
SELECT c.relname, i.relname, pg_get_indexdef(i.oid)
FROM pg_index x
JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_class i ON i.oid = x.indexrelid
WHERE c.relnamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.oid AND k.contype IN
                  ('p', 'u', 'x') AND k.conrelid = c.oid)
ORDER BY c.relname COLLATE "C", i.relname COLLATE "C"
"""
_TRIGGERS = """
SELECT c.relname, t.tgname, pg_get_triggerdef(t.oid, true),
       CASE t.tgenabled WHEN 'A' THEN ' (always)' WHEN 'R' THEN ' (replica)'
                        WHEN 'D' THEN ' (disabled)' ELSE '' END
FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'public'::regnamespace AND NOT t.tgisinternal
ORDER BY c.relname COLLATE "C", t.tgname COLLATE "C"
"""
_TABLE_GRANTS = """
SELECT c.relname, c.relkind::text,
       string_agg(g.privilege_type, ', ' ORDER BY g.privilege_type COLLATE "C")
FROM pg_class c
CROSS JOIN LATERAL aclexplode(c.relacl) g
WHERE c.relnamespace = 'public'::regnamespace AND g.grantee::regrole::text = %(role)s
  AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
GROUP BY c.oid, c.relname, c.relkind
ORDER BY c.relname COLLATE "C"
"""
_COLUMN_GRANTS = """
SELECT c.relname, g.privilege_type,
       string_agg(a.attname, ', ' ORDER BY a.attname COLLATE "C")
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid
CROSS JOIN LATERAL aclexplode(a.attacl) g
WHERE c.relnamespace = 'public'::regnamespace AND g.grantee::regrole::text = %(role)s
GROUP BY c.relname, g.privilege_type
ORDER BY c.relname COLLATE "C", g.privilege_type COLLATE "C"
"""
_SEQUENCES = """
SELECT c.relname, format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax,
       s.seqcache, s.seqcycle
FROM pg_sequence s
JOIN pg_class c ON c.oid = s.seqrelid
WHERE c.relnamespace = 'public'::regnamespace
ORDER BY c.relname COLLATE "C"
"""
_ENUMS = """
SELECT t.typname, string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace AND n.nspname = 'public'
JOIN pg_enum e ON e.enumtypid = t.oid
GROUP BY t.typname
ORDER BY t.typname COLLATE "C"
"""
_DOMAINS = """
SELECT t.typname, format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault,
       (SELECT string_agg(pg_get_constraintdef(k.oid, true), ' ' ORDER BY k.conname COLLATE "C")
        FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c')
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace AND n.nspname = 'public'
WHERE t.typtype = 'd'
ORDER BY t.typname COLLATE "C"
"""
_FUNCTIONS = """
SELECT pg_get_functiondef(p.oid),
       has_function_privilege(%(role)s, p.oid, 'EXECUTE')
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname = 'public'
WHERE p.prokind IN ('f', 'p')
  AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
ORDER BY p.proname COLLATE "C", pg_get_function_identity_arguments(p.oid) COLLATE "C"
"""
_DEFAULT_GRANTS = """
SELECT d.defaclobjtype::text,
       string_agg(g.privilege_type, ', ' ORDER BY g.privilege_type COLLATE "C")
FROM pg_default_acl d
JOIN pg_namespace n ON n.oid = d.defaclnamespace AND n.nspname = 'public'
CROSS JOIN LATERAL aclexplode(d.defaclacl) g
WHERE g.grantee::regrole::text = %(role)s
GROUP BY d.defaclobjtype
ORDER BY 1
"""
_KINDS = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "S": "sequence"}


def dump_schema(dsn: str) -> str:
    """Describe the schema `public` of a migrated database, one object a paragraph, in name order.

    It tells tables with columns (type, own collation, nullability, default), constraints,
    indexes, triggers, storage options and what `openclaw_app` may do; then sequences, types,
    functions and default privileges.

    Raises:
        psycopg.OperationalError: The database cannot be reached.
        psycopg.errors.UndefinedObject: The role `openclaw_app` does not exist.
    """
    # The text of an expression depends on what the search path makes visible.
    with psycopg.connect(libpq_dsn(dsn), options="-c search_path=public") as conn:
        paragraphs = [
            *_relations(conn),
            *_sequences(conn),
            *_types(conn),
            *_functions(conn),
            *_default_grants(conn),
        ]
    return "\n\n".join(paragraphs) + "\n"


def _rows(conn: psycopg.Connection[TupleRow], query: str) -> list[TupleRow]:
    # Every query is a constant of this module, and begins with the name it is about.
    rows = conn.execute(query.encode(), {"role": _APP_ROLE}).fetchall()
    return [row for row in rows if row[0] != _NOT_OURS]


def _relations(conn: psycopg.Connection[TupleRow]) -> list[str]:
    details: defaultdict[str, list[str]] = defaultdict(list)
    for row in _rows(conn, _COLUMNS):
        details[row[0]].append(_column(row))
    for table, name, definition in _rows(conn, _CONSTRAINTS):
        details[table].append(f"  constraint {name}: {definition}")
    for table, name, definition in _rows(conn, _INDEXES):
        details[table].append(f"  index {name}: {definition}")
    for table, name, definition, enabled in _rows(conn, _TRIGGERS):
        details[table].append(f"  trigger {name}{enabled}: {definition}")
    grants = {row[0]: row[2] for row in _rows(conn, _TABLE_GRANTS)}
    for table, privilege, columns in _rows(conn, _COLUMN_GRANTS):
        details[table].append(f"  {_APP_ROLE} may {privilege} of {columns}")
    return [
        "\n".join(
            [
                _relation_title(row),
                *details[row[0]],
                f"  {_APP_ROLE} may {grants.get(row[0], 'nothing')}",
            ]
        )
        for row in _rows(conn, _TABLES)
    ]


def _column(row: TupleRow) -> str:
    _, name, type_, collation, required, default, identity, generated = row
    words = [f"  {name} {type_}"]
    if collation is not None:
        words.append(f'collate "{collation}"')
    if required:
        words.append("not null")
    if identity:
        words.append("identity always" if identity == "a" else "identity by default")
    if generated:
        words.append(f"generated as ({default})")
    elif default is not None:
        words.append(f"default {default}")
    return " ".join(words)


def _relation_title(row: TupleRow) -> str:
    name, kind, persistence, options, view, partition_key, partition_bound = row
    words = ["unlogged " if persistence == "u" else "", f"{_KINDS[kind]} {name}"]
    if options:
        words.append(f" with ({', '.join(sorted(options))})")
    if partition_key:
        words.append(f" partition by {partition_key}")
    if partition_bound:
        words.append(f" {partition_bound}")
    if view:
        words.append(f" as\n{view}")
    return "".join(words)


def _sequences(conn: psycopg.Connection[TupleRow]) -> list[str]:
    grants = {row[0]: row[2] for row in _rows(conn, _TABLE_GRANTS) if row[1] == "S"}
    return [
        f"sequence {name} {type_} start {start} increment {step} from {low} to {high} cache {cache}"
        f"{' cycle' if cycle else ''}\n  {_APP_ROLE} may {grants.get(name, 'nothing')}"
        for name, type_, start, step, low, high, cache, cycle in _rows(conn, _SEQUENCES)
    ]


def _types(conn: psycopg.Connection[TupleRow]) -> list[str]:
    enums = [f"enum {name}: {labels}" for name, labels in _rows(conn, _ENUMS)]
    domains = [
        f"domain {name} {base}{' not null' if required else ''}"
        f"{f' default {default}' if default else ''} {checks or ''}".rstrip()
        for name, base, required, default, checks in _rows(conn, _DOMAINS)
    ]
    return enums + domains


def _functions(conn: psycopg.Connection[TupleRow]) -> list[str]:
    return [
        f"{definition.rstrip()}\n  {_APP_ROLE} may {'EXECUTE' if allowed else 'nothing'}"
        for definition, allowed in _rows(conn, _FUNCTIONS)
    ]


def _default_grants(conn: psycopg.Connection[TupleRow]) -> list[str]:
    kinds = {"r": "tables", "S": "sequences", "f": "functions", "T": "types", "n": "schemas"}
    return [
        f"new {kinds[kind]}: {_APP_ROLE} may {privileges}"
        for kind, privileges in _rows(conn, _DEFAULT_GRANTS)
    ]


def _dump_fresh() -> str:
    with (
        tempfile.TemporaryDirectory(prefix="ocj-") as data_dir,
        EmbeddedServer.start(data_dir, settings={"fsync": "off"}) as server,
    ):
        migrate(server.dsn())
        return dump_schema(server.dsn())


def main(arguments: list[str] | None = None) -> None:
    """Print the schema, or write it to `schema.txt`."""
    parser = argparse.ArgumentParser(prog="python -m openclaw_jobs.db.dump")
    parser.add_argument("--write", action="store_true", help=f"write {SCHEMA_FILE.name}")
    chosen = parser.parse_args(arguments)
    dsn = os.environ.get("DATABASE_URL")
    schema = dump_schema(dsn) if dsn else _dump_fresh()
    if chosen.write:
        SCHEMA_FILE.write_text(schema, encoding="utf-8")
    else:
        sys.stdout.write(schema)


if __name__ == "__main__":
    main()
