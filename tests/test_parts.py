"""The script that installs what tests need of the system, on a system made up for it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "ops" / "install-test-parts.sh"
PROGRAMS = ("chromium", "redis-server", "pgbouncer", "faketime")
# Fails the first time, as a mirror does; then each program is there.
APT = """#!/bin/sh
echo "$@" >> "{folder}/asked"
case "$*" in *install*)
  if [ "$(grep -c install "{folder}/asked")" = 1 ]; then
    echo "no route to the mirror" >&2
    exit 100
  fi
  for name in {programs}; do
    echo '#!/bin/sh' > "{folder}/$name"
    chmod +x "{folder}/$name"
  done
esac
"""


@pytest.fixture
def system(tmp_path: Path) -> Path:
    """A folder of programs, without those that tests need."""
    for name in ("bash", "id", "paste", "env", "grep", "chmod", "sleep"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    (tmp_path / "sleep").unlink()
    _program(tmp_path / "sleep", "#!/bin/sh\n")
    return tmp_path


def run(system: Path) -> subprocess.CompletedProcess[str]:
    # The folders that the script adds to PATH may hold some of the programs: none is looked for
    # there under this name.
    text = SCRIPT.read_text().replace(":/usr/local/sbin:/usr/sbin:/sbin", "")
    copy = system / "script"
    copy.write_text(text)
    return subprocess.run(
        ["/bin/bash", str(copy)],
        env={"PATH": str(system), "HOME": os.environ.get("HOME", "/")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_is_done_where_all_is_there(system: Path) -> None:
    for name in PROGRAMS:
        _program(system / name, "#!/bin/sh\n")
    result = run(system)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_root_installs_what_is_missing_and_tries_twice(system: Path) -> None:
    _as_root(system)
    _program(system / "apt-get", APT.format(folder=system, programs=" ".join(PROGRAMS)))
    result = run(system)
    assert result.returncode == 0, result.stderr
    assert "no route to the mirror" in result.stderr
    asked = (system / "asked").read_text().splitlines()
    assert [line for line in asked if "install" in line][1].endswith(" ".join(PROGRAMS))


def test_who_may_not_install_is_told_what_is_missing(system: Path) -> None:
    _program(system / "pgbouncer", "#!/bin/sh\n")
    _program(system / "google-chrome", "#!/bin/sh\n")
    result = run(system)
    assert result.returncode == 1
    assert "redis-server faketime. Tests that need them are skipped" in result.stderr


def _program(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _as_root(system: Path) -> None:
    (system / "id").unlink()
    _program(system / "id", "#!/bin/sh\necho 0\n")
