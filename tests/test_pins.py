"""The pinned requirements and what the project declares belong together."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import openclaw_jobs

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
UNCAPPED = {"tzdata"}  # data under a calendar version, without an API to break
ALL = [PROJECT["dependencies"], *EXTRAS.values()]
UNPINNED = "semantic"  # PyTorch comes in a build for each machine, and nothing here needs it
PINNED = [PROJECT["dependencies"], *(EXTRAS[extra] for extra in EXTRAS if extra != UNPINNED)]


def declared(*groups: list[str]) -> list[Requirement]:
    found = [Requirement(line) for group in groups for line in group]
    return [requirement for requirement in found if requirement.name != "openclaw-jobs"]


def pinned(name: str) -> dict[str, set[Version]]:
    """Each pinned distribution with its versions; more than one where Python versions differ."""
    text = (ROOT / "requirements" / name).read_text()
    found: dict[str, set[Version]] = {}
    for distribution, version in re.findall(
        r"^([A-Za-z0-9_.-]+)(?:\[.*?\])?==(\S+)", text, re.MULTILINE
    ):
        found.setdefault(canonicalize_name(distribution), set()).add(Version(version))
    return found


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("server.txt", [PROJECT["dependencies"], EXTRAS["server"]]),
        ("dev.txt", PINNED),
    ],
)
def test_each_dependency_is_pinned_within_its_bounds(name: str, groups: list[list[str]]) -> None:
    pins = pinned(name)
    for requirement in declared(*groups):
        versions = pins.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is missing; run `make pins`"
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_both_files_agree() -> None:
    dev = pinned("dev.txt")
    assert {name: dev[name] for name in pinned("server.txt")} == pinned("server.txt")


@pytest.mark.parametrize("name", ["server.txt", "dev.txt"])
def test_pins_carry_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    entries = re.split(r"(?m)^(?=[a-z0-9])", text)[1:]
    assert len(entries) > 20
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert not re.search(r"(?m)^\s*(-i|-f|--(index|extra-index|find-links|trusted))", text)


def test_each_dependency_has_bounds() -> None:
    for requirement in declared(*ALL):
        operators = {specifier.operator for specifier in requirement.specifier}
        wanted = {">="} if requirement.name in UNCAPPED else {">=", "<"}
        assert operators == wanted, f"{requirement}: a lower bound and a cap"


def test_each_runtime_dependency_is_explained() -> None:
    text = (ROOT / "docs" / "decisions" / "0007-dependencies.md").read_text()
    for requirement in declared(*ALL):
        assert f"| `{requirement.name}`" in text, f"{requirement.name} is not in decision 0007"


def test_the_version_is_written_once() -> None:
    assert importlib.metadata.version("openclaw-jobs") == openclaw_jobs.__version__
    assert f"## {openclaw_jobs.__version__}" in (ROOT / "CHANGELOG.md").read_text()
