"""What a worker's machine has: the base install, none of the server's packages."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]

# Refuses the packages that only an extra brings, as an import would on a machine without them.
BLOCKER = """
import sys

absent = set({absent!r})

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {{name!r}} in the base install", name=name)
        return None

sys.meta_path.insert(0, Absent())
"""


def base_distributions() -> set[str]:
    """The distributions that `pip install openclaw-jobs` brings, without any extra."""
    found: set[str] = set()
    waiting = ["openclaw-jobs"]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found.add(name)
        for line in importlib.metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    return found


def absent_modules() -> list[str]:
    """What is installed here for the tests and would not be on a worker's machine."""
    base = base_distributions()
    return sorted(
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if not any(canonicalize_name(owner) in base for owner in owners)
    )


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKER.format(absent=absent_modules()) + program],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )


def test_the_base_is_small() -> None:
    base = base_distributions()
    assert {"openclaw-jobs", "httpx", "msgspec", "rich", "typer"} <= base
    assert not base & {"litestar", "psycopg", "uvicorn", "sqlalchemy", "aiohttp"}


def test_the_blocker_blocks() -> None:
    result = run("import litestar")
    assert "No module named 'litestar' in the base install" in result.stderr


def test_the_client_imports() -> None:
    result = run(
        "import importlib, pkgutil, openclaw_jobs.client as client\n"
        "for module in pkgutil.walk_packages(client.__path__, 'openclaw_jobs.client.'):\n"
        "    if not module.name.endswith('aiohttp_transport'):  # serves the extra `fast`\n"
        "        importlib.import_module(module.name)\n"
    )
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["worker", "--help"], ["task", "--help"]])
def test_the_command_line_runs(arguments: list[str]) -> None:
    result = run(
        "from openclaw_jobs.cli import main\n"
        f"sys.argv = ['openclaw-jobs', *{arguments!r}]\n"
        "main()\n"
    )
    assert result.returncode == 0, result.stderr
    assert "Usage" in result.stdout
