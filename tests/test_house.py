"""The rules of the house that no linter knows, read from the tree itself.

`docs/explanation/architecture.md` says why each stands; import-linter holds the layers.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "openclaw_jobs"

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 70

FILES = sorted(PACKAGE.rglob("*.py"))
WHOLE_TREE = sorted([*FILES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")])

SQL = re.compile(
    r"""^\s*(?:
        (?-i:SELECT|WITH|TRUNCATE|LISTEN|UNLISTEN|NOTIFY|LOCK|ALTER|CREATE|DROP|COPY|BEGIN|COMMIT
          |SET|RESET)\b
      | insert \s+ into \s
      | delete \s+ from \s
      | update \s+ [\w.]+ (?:\s+ as \s+ \w+)? \s+ set \s
      | select \s .* \s from \s
      | with \s+ \w+ \s+ as \s .* \s (?:select|insert|update|delete) \s
    )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)

# What the base install brings (pyproject.toml); the client may use nothing else, but in the one
# file that serves the extra `fast`.
BASE_PACKAGES = {"httpx", "msgspec", "rich", "typer"}
EXTRA_PACKAGES = {"aiohttp_transport.py": {"aiohttp", "yarl"}}

# What has no place in `rules.py`: the world outside, the clock, chance.
IMPURE = {
    "asyncio", "concurrent", "httpx", "logging", "os", "pathlib", "psycopg", "psycopg_pool",
    "random", "secrets", "socket", "sqlalchemy", "structlog", "subprocess", "threading", "time",
    "uuid",
}  # fmt: skip


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def docstrings(tree: ast.AST) -> set[int]:
    """The nodes that document: docstrings, and the strings that stand below a constant."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Each string that the program uses, f-strings joined up to their first hole."""
    skip = docstrings(tree)
    for node in ast.walk(tree):
        if id(node) in skip:
            continue
        if isinstance(node, ast.JoinedStr):
            skip.update(id(part) for part in node.values)
            parts = [part.value if isinstance(part, ast.Constant) else "x" for part in node.values]
            yield node.lineno, "".join(str(part) for part in parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that a reader sees the layer"
            yield node.lineno, node.module or ""


def holds_sql(path: Path) -> bool:
    """Whether SQL may stand in this file: a module's store, or anywhere in db/."""
    parts = path.relative_to(PACKAGE).parts
    return parts[0] == "db" or parts[-1].startswith("store") or "store" in parts[:-1]


def test_the_tree_is_found() -> None:
    assert len(FILES) > 10


@pytest.mark.parametrize("path", WHOLE_TREE, ids=name_of)
def test_files_stay_small(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_FILE_LINES, f"{lines} lines; split the module by verb, a test by subject"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_functions_stay_small(path: Path) -> None:
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    }
    assert not long, f"functions over {MAX_FUNCTION_LINES} lines: {long}"


@pytest.mark.parametrize("path", [f for f in FILES if not holds_sql(f)], ids=name_of)
def test_sql_stands_only_in_stores(path: Path) -> None:
    found = [f"{line}: {text[:60]!r}" for line, text in texts(tree_of(path)) if SQL.match(text)]
    assert not found, f"SQL belongs into store.py or db/: {found}"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "\n    INSERT INTO tasks (id) VALUES (%s)",
        "update tasks set status = 'queued' where id = %s",
        "UPDATE tasks AS t SET status = 'x'",
        "WITH picked AS (SELECT 1) UPDATE t SET a = 1",
        "delete from leases where x",
        "NOTIFY tasks",
        "SET LOCAL statement_timeout = 0",
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY",
    ],
)
def test_sql_is_recognised(text: str) -> None:
    assert SQL.match(text)


@pytest.mark.parametrize(
    "text",
    ["select a pack", "update failed", "Update the profile.", "with next", "insert coin", "set up"],
)
def test_prose_is_not_taken_for_sql(text: str) -> None:
    assert not SQL.match(text)


@pytest.mark.parametrize("path", [f for f in FILES if f.name == "rules.py"], ids=name_of)
def test_rules_are_pure(path: Path) -> None:
    tree = tree_of(path)
    for line, name in imports(tree):
        assert name.split(".")[0] not in IMPURE, f"{line}: {name}"
        assert not name.startswith("openclaw_jobs.db"), f"{line}: {name}"
        assert name.split(".")[-1] not in {"store", "service"}, f"{line}: {name}"
    for node in ast.walk(tree):
        assert not isinstance(node, ast.AsyncFunctionDef), f"{node.lineno}: a rule never waits"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in {"now", "utcnow", "today"}, f"{node.lineno}: takes a time"


# `market/` opens the transactions; what it calls takes the connection as it is.
INSIDE = [f for f in FILES if f.stem.startswith(("service", "store"))]


@pytest.mark.parametrize("path", INSIDE, ids=name_of)
def test_services_and_stores_never_commit(path: Path) -> None:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in {"commit", "rollback"}, f"line {node.lineno}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "client").rglob("*.py")), ids=name_of)
def test_the_client_needs_the_base_install_only(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | BASE_PACKAGES | EXTRA_PACKAGES.get(path.name, set())
    for line, name in imports(tree_of(path)):
        if name.split(".")[0] == "openclaw_jobs":
            own = name == "openclaw_jobs" or name.startswith("openclaw_jobs.client")
            assert own, f"{line}: {name}"
        else:
            assert name.split(".")[0] in allowed, f"{line}: {name}"


def swallows(handler: ast.ExceptHandler) -> bool:
    """Whether this is `except …: pass` (or `...`), which neither handles an error nor says why."""
    return all(
        isinstance(step, ast.Pass)
        or (isinstance(step, ast.Expr) and isinstance(step.value, ast.Constant))
        for step in handler.body
    )


@pytest.mark.parametrize("path", WHOLE_TREE, ids=name_of)
def test_no_error_is_swallowed(path: Path) -> None:
    handlers = [n for n in ast.walk(tree_of(path)) if isinstance(n, ast.ExceptHandler)]
    found = [handler.lineno for handler in handlers if swallows(handler)]
    assert not found, f"handle it, or say why with contextlib.suppress: lines {found}"
