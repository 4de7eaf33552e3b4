"""The plugin that makes a skip fail, tried on a small suite of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

SUITE = """
import pytest

def test_runs(): pass

@pytest.mark.skip(reason="marked")
def test_marked(): pass

def test_called(): pytest.skip("called")

@pytest.mark.xfail(reason="expected")
def test_expected(): raise AssertionError
"""


def run(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", folder, *args, folder],
        cwd=ROOT,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},  # starts in half the time
        text=True,
        capture_output=True,
        check=False,
    )


def test_skips_pass_without_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SUITE)
    result = run(tmp_path)
    assert result.returncode == 0, result.stdout
    assert "1 passed, 2 skipped, 1 xfailed" in result.stdout


def test_skips_fail_with_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(SUITE)
    result = run(tmp_path, "-p", "tests.plugins.no_skips")
    assert result.returncode == 1, result.stdout
    assert "2 failed, 1 passed, 1 error" in result.stdout  # a mark skips during set-up
    assert "no test may be skipped here" in result.stdout


def test_a_skipped_file_fails_with_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\npytest.skip('whole', allow_module_level=True)\n"
    )
    result = run(tmp_path, "-p", "tests.plugins.no_skips")
    assert result.returncode != 0, result.stdout
    assert "no test may be skipped here" in result.stdout
