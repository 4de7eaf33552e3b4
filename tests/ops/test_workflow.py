"""GitHub's workflow runs what `.ci/run` runs, on every Python that the project says it takes."""

import re
import tomllib
from typing import Any

import yaml  # type: ignore[import-untyped]

from tests.test_docs import ROOT, make_targets

# YAML 1.1 reads the key `on` as true.
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
SCRIPT = (ROOT / ".ci" / "run").read_text()
STEPS = re.findall(r"(?m)^ *step (\d+) (.+)$", SCRIPT)
LIMIT_S = 25 * 60


def test_it_runs_the_script_and_nothing_instead() -> None:
    (job,) = WORKFLOW["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands[-1] == ".ci/run"
    assert not [command for command in commands if re.search(r"\b(make|pytest|pip)\b", command)]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
    assert not job.get("continue-on-error", False)
    assert not any(step.get("continue-on-error", False) for step in job["steps"])
    assert set(WORKFLOW[True]) == {"push", "pull_request"}
    assert WORKFLOW["permissions"] == {"contents": "read"}


def test_it_runs_on_each_python_that_the_project_names() -> None:
    (job,) = WORKFLOW["jobs"].values()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    prefix = "Programming Language :: Python :: 3."
    named = [c.removeprefix(prefix) for c in project["classifiers"] if c.startswith(prefix)]
    assert job["strategy"]["matrix"]["python"] == [f"3.{minor}" for minor in named]
    assert project["requires-python"] == f">=3.{named[0]}"
    assert job["strategy"]["fail-fast"] is False
    assert "${{ matrix.python }}" in job["container"]["image"]


def test_the_limits_of_the_script_fit_into_the_whole_and_into_the_job() -> None:
    (job,) = WORKFLOW["jobs"].values()
    assert {word.removeprefix("make ") for _, word in STEPS} <= make_targets()
    assert sum(int(limit) for limit, _ in STEPS) <= LIMIT_S
    assert job["timeout-minutes"] * 60 > LIMIT_S


def test_the_script_lets_no_test_be_skipped() -> None:
    assert re.search(r"(?m)^export CI=true\b", SCRIPT)
    words = [word for _, word in STEPS]
    assert words.index("make parts") < words.index("make test")


def test_its_container_lets_the_tests_do_what_they_do() -> None:
    """Else they are skipped there, and a skipped test fails: a mount, a browser's shared memory."""
    (job,) = WORKFLOW["jobs"].values()
    options = job["container"]["options"]
    assert "--shm-size=4g" in options
    assert "--cap-add SYS_ADMIN --security-opt apparmor=unconfined" in options
