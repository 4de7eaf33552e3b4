"""Dockerfile, compose.yaml, systemd units and Caddyfile say what the program says.

Nothing here needs Docker, systemd or Caddy; what was tried with the real ones by hand is told in
`docs/how-to/run-in-containers.md` and `docs/how-to/deploy.md`.
"""

import configparser
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]
from typer.testing import CliRunner

from openclaw_jobs import __version__, cli
from openclaw_jobs.api import server
from openclaw_jobs.client.buyer import MAX_WAIT_S
from openclaw_jobs.settings import Settings
from tests.test_docs import ROOT, Recorder, documented_routes

OPS = ROOT / "ops"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: each for name, each in SERVICES.items() if "build" in each}
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
CADDYFILE = (OPS / "Caddyfile").read_text()
UNITS = sorted((OPS / "systemd").glob("*.service"))
HEALTH = "/api/health"


def example() -> dict[str, str]:
    """What `ops/compose.env.example` gives, as filled in by somebody."""
    lines = re.findall(r"(?m)^([A-Z_]+)=(.*)$", (OPS / "compose.env.example").read_text())
    filled = {name: value or "filled" for name, value in lines}
    return filled | {"SMTP_URL": "smtp://mail.example.com:587"}


def interpolated() -> set[str]:
    return set(re.findall(r"\$\{([A-Z_]+)", (ROOT / "compose.yaml").read_text()))


def known() -> set[str]:
    environment = Recorder()
    Settings.from_environment(environment)
    return environment.asked


def environment_of(service: dict[str, Any]) -> dict[str, str]:
    given = example()
    text = json.dumps(service["environment"])
    return json.loads(re.sub(r"\$\{([A-Z_]+)[^}]*\}", lambda m: given[m[1]], text))  # type: ignore[no-any-return]


def assert_command(words: list[str]) -> None:
    """The command exists and knows its options."""
    result = CliRunner().invoke(cli.app, [words[0], "--help"])
    assert result.exit_code == 0, (words, result.output)
    for word in words[1:]:
        assert not word.startswith("--") or word in result.output, (words, word)


def seconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(ms|s|m|)", text).groups()  # type: ignore[union-attr]
    return float(number) * {"ms": 0.001, "s": 1, "m": 60, "": 1}[unit]


def stages() -> Iterator[list[tuple[str, str]]]:
    """The instructions of each stage of the Dockerfile."""
    stage: list[tuple[str, str]] = []
    for instruction in re.findall(r"(?m)^([A-Z]+) +(.*)$", DOCKERFILE.partition("\nFROM")[2]):
        if instruction[0] == "FROM":
            yield stage
            stage = []
        stage.append(instruction)
    yield stage


# -- compose.yaml


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_variable_is_one_that_the_server_reads(name: str) -> None:
    given = example()
    assert set(OURS[name]["environment"]) <= known()
    assert set(given) - interpolated() <= known()
    assert interpolated() <= set(given)
    settings = Settings.from_environment(given | environment_of(OURS[name]))
    assert settings.is_production
    assert settings.database_url == "postgresql://openclaw:filled@postgres:5432/openclaw"


@pytest.mark.parametrize("name", sorted(OURS))
def test_each_command_exists(name: str) -> None:
    assert_command(OURS[name]["command"])


def test_there_are_two_web_processes_a_background_one_and_a_migration() -> None:
    commands = sorted(each["command"][0] for each in OURS.values())
    assert commands == ["background", "migrate", "web", "web"]
    for name, each in OURS.items():
        if each["command"][0] != "migrate":
            waits = each["depends_on"]
            assert waits["migrate"]["condition"] == "service_completed_successfully", name
    assert OURS["web1"]["environment"]["NODE_ID"] != OURS["web2"]["environment"]["NODE_ID"]


def test_images_are_pinned() -> None:
    for name, each in SERVICES.items():
        assert re.search(r":\d+\.\d+[\w.-]*$", each["image"]), name
    assert {each["image"] for each in OURS.values()} == {f"openclaw-jobs:{__version__}"}
    base = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert base is not None
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base[1])
    assert set(re.findall(r"(?m)^FROM (\S+)", DOCKERFILE)) == {"${PYTHON_IMAGE}"}


def test_no_password_comes_with_it() -> None:
    named = re.findall(r"\$\{POSTGRES_PASSWORD[^}]*\}", (ROOT / "compose.yaml").read_text())
    assert named == ["${POSTGRES_PASSWORD:?set it in .env}"] * 2, "it starts with none, or not"
    lines = (OPS / "compose.env.example").read_text().splitlines()
    for name in ("POSTGRES_PASSWORD", "ADMIN_TOKEN", "SESSION_SECRET", "STRIPE_SECRET_KEY"):
        assert f"{name}=" in lines, name


def test_services_and_volumes_that_are_named_exist() -> None:
    for name, each in SERVICES.items():
        assert set(each.get("depends_on", {})) <= set(SERVICES), name
        assert set(each["networks"]) <= set(COMPOSE["networks"]), name
        for volume in each.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).is_file(), volume
            else:
                assert source in COMPOSE["volumes"], volume
    for address in SERVICES["caddy"]["environment"]["UPSTREAMS"].split():
        service, port = address.split(":")
        assert OURS[service]["command"][-2:] == ["--port", port]


def test_only_the_proxy_is_reached_from_outside_and_only_it_is_believed() -> None:
    assert [name for name, each in SERVICES.items() if "ports" in each] == ["caddy"]
    (front,) = COMPOSE["networks"]["front"]["ipam"]["config"]
    assert OURS["web1"]["environment"]["TRUSTED_PROXIES"] == front["subnet"]
    on_front = {name for name, each in SERVICES.items() if "front" in each["networks"]}
    assert on_front == {*OURS, "caddy"}
    assert COMPOSE["networks"]["back"]["internal"] is True


def test_our_containers_can_do_little() -> None:
    for each in OURS.values():
        assert each["read_only"] is True
        assert each["cap_drop"] == ["ALL"]
        assert each["security_opt"] == ["no-new-privileges:true"]


def test_a_stop_is_given_the_time_it_takes() -> None:
    for each in OURS.values():
        grace = float(each["environment"]["SHUTDOWN_GRACE_S"])
        assert seconds(each["stop_grace_period"]) > grace + 10
    for unit in UNITS:
        if "web" in unit.name or "background" in unit.name:
            assert float(read(unit)["Service"]["TimeoutStopSec"]) > Settings().shutdown_grace_s + 10


# -- Dockerfile


def test_the_image_has_no_tools_and_no_root() -> None:
    build, final = stages()
    installs = [what for word, what in build if word == "RUN" and " install " in what]
    assert len(installs) == 3
    for command in installs:
        offline = "--no-index" in command
        assert offline or "--require-hashes --only-binary=:all:" in command
    assert not [what for word, what in final if word == "RUN" and "install" in what]
    assert "dev.txt" not in DOCKERFILE
    users = [what for word, what in final if word == "USER"]
    assert users == ["10001:10001"]
    assert [word for word, _ in final].index("USER") > [word for word, _ in final].index("RUN")
    copied = [what for word, what in final if word == "COPY"]
    assert copied == ["--from=build /opt/openclaw-jobs /opt/openclaw-jobs"]


def test_what_the_image_copies_is_there_and_is_let_through() -> None:
    let_through = re.findall(r"(?m)^!(\S+)$", (ROOT / ".dockerignore").read_text())
    build, _ = stages()
    sources = [
        source for word, what in build if word == "COPY" for source in shlex.split(what)[:-1]
    ]
    assert sorted(sources) == sorted(let_through)
    for source in sources:
        assert (ROOT / source).exists(), source


def test_the_image_runs_a_command_that_is_checked_where_it_answers() -> None:
    *_, final = stages()
    words = dict(final)
    assert json.loads(words["ENTRYPOINT"]) == ["openclaw-jobs"]
    command = json.loads(words["CMD"])
    assert_command(command)
    assert words["EXPOSE"] == command[-1]
    assert f"http://127.0.0.1:{command[-1]}{HEALTH}" in words["HEALTHCHECK"]
    served, _ = documented_routes()
    assert f"GET {HEALTH}" in served
    # Who serves no HTTP is not asked whether it does.
    for name, each in OURS.items():
        asked = not each.get("healthcheck", {}).get("disable", False)
        assert asked == (each["command"][0] == "web"), name


def test_the_wheels_builder_is_pinned_as_everywhere() -> None:
    def pins(name: str) -> set[str]:
        text = (ROOT / "requirements" / name).read_text()
        return set(re.findall(r"(?m)^([a-z0-9-]+==\S+)", text))

    assert any(pin.startswith("hatchling==") for pin in pins("build.txt"))
    assert pins("build.txt") <= pins("dev.txt")
    entries = re.split(r"(?m)^(?=[a-z0-9])", (ROOT / "requirements/build.txt").read_text())[1:]
    assert all("--hash=sha256:" in entry for entry in entries)


# -- Caddyfile


def directive(name: str) -> str:
    found = re.findall(rf"(?m)^\s*{name} (.+)$", CADDYFILE)
    assert len(found) == 1, name
    return str(found[0])


def test_the_proxy_is_patient_with_polls_and_streams() -> None:
    assert seconds(directive("response_header_timeout")) > MAX_WAIT_S + 10
    assert seconds(directive("keepalive")) < server._KEEP_ALIVE_S
    assert directive("flush_interval") == "-1"
    assert "text/event-stream" not in CADDYFILE  # not among what is compressed
    assert not re.search(r"(?m)^\s*(write|read_timeout|write_timeout) ", CADDYFILE)


def test_the_proxy_asks_a_route_that_exists_and_hides_what_is_for_inside() -> None:
    assert directive("health_uri") == HEALTH
    served, _ = documented_routes()
    assert f"GET {directive('@inside path')}" in served
    assert set(re.findall(r"\{\$([A-Z_]+)", CADDYFILE)) == set(SERVICES["caddy"]["environment"])


# -- systemd


def read(unit: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(unit.read_text())
    return parser


@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_each_unit_runs_a_command_that_exists(unit: Path) -> None:
    program, *words = read(unit)["Service"]["ExecStart"].split()
    assert program == "/opt/openclaw-jobs/bin/openclaw-jobs"
    assert_command(words)
    service = read(unit)["Service"]
    assert service["User"] == "openclaw"
    assert service["NoNewPrivileges"] == "true"
    assert service["ProtectSystem"] == "strict"
    for name in re.findall(r"([A-Z_]+)=", service.get("Environment", "")):
        assert name in known() | {"PYTHONUNBUFFERED"}


def test_a_web_unit_is_up_when_it_answers() -> None:
    service = read(OPS / "systemd" / "openclaw-jobs-web@.service")["Service"]
    assert service["ExecStartPost"].endswith(f"http://127.0.0.1:%i{HEALTH}")
    assert "--port %i" in service["ExecStart"]
