"""What a start loads: nothing that it does not use."""

import subprocess
import sys

import pytest

HEAVY = {"alembic", "sqlalchemy", "stripe", "solders"}


@pytest.mark.parametrize("module", ["openclaw_jobs.cli", "openclaw_jobs.app"])
def test_a_start_does_not_load_what_it_may_never_need(module: str) -> None:
    code = f"import sys, {module}; print(*({HEAVY!r} & sys.modules.keys()))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
