"""The plugin that makes a leaked secret fail, tried on a small suite of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

SUITE = """
import asyncio
import subprocess
import sys

import pytest
from tests.plugins.no_leaks import hear

SECRET = "ocb_" + "x" * 32
TELLS = (sys.executable, "-c", "import sys; sys.stderr.write('ocb_' + 'x' * 32)")

def test_quiet(): print("nothing")

def test_prints(): print(SECRET)

def test_hears(): hear(SECRET)

def test_communicates():
    subprocess.run(TELLS, stderr=subprocess.PIPE)

def test_waits():
    async def run():
        process = await asyncio.create_subprocess_exec(*TELLS, stderr=asyncio.subprocess.PIPE)
        await process.communicate()
    asyncio.run(run())

@pytest.mark.tells_secrets
def test_on_purpose(): hear(SECRET)
"""


def test_whatever_a_test_or_its_programs_say_is_looked_into(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SUITE)
    plugin = ("-p", "tests.plugins.no_leaks")
    result = subprocess.run(
        (sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", tmp_path, *plugin, "-rfE",
         tmp_path),
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        text=True,
        capture_output=True,
        check=False,
    )  # fmt: skip
    # The calls themselves pass; it is their end that fails.
    assert "6 passed, 4 errors" in result.stdout
    failed = {line.split("::")[1].split()[0] for line in result.stdout.splitlines() if "::" in line}
    assert failed == {"test_prints", "test_hears", "test_communicates", "test_waits"}
