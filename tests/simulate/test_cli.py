"""The command `openclaw-jobs simulate` on a small size."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from openclaw_jobs import cli
from openclaw_jobs.economy import DEFAULT_CONFIG
from openclaw_jobs.kit.errors import Problem
from openclaw_jobs.simulate.document import BEGIN, END

SIZE = ("--workers", "200", "--tasks", "40", "--seed", "3")
DOCS = Path(__file__).resolve().parents[2] / "docs"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, ["simulate", *SIZE, *map(str, arguments)])


def test_it_writes_a_page_that_needs_nothing_else(tmp_path: Path) -> None:
    result = run("--out", tmp_path / "report")
    assert result.exit_code == 0, result.output
    assert "must reach" in result.output
    page = (tmp_path / "report" / "report.html").read_text()
    assert page.count("<svg") == 5
    assert "60% bad" in page
    assert not re.search(r"""(?:src|href)=|https?:|url\(|@import|<script""", page)
    data = json.loads((tmp_path / "report" / "report.json").read_bytes())
    assert data["present"]["settings"]["workers"] == 200
    assert data["proposed"] is None


def test_twice_gives_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert run("--out", tmp_path / name).exit_code == 0
    for file in ("report.html", "report.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_a_proposal_stands_beside_the_present(tmp_path: Path) -> None:
    proposal = tmp_path / "new.json"
    proposal.write_text('{"quality": {"enabled": false, "benchmark_rate": 0}}')
    result = run("--config", proposal, "--out", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    study = json.loads(result.stdout)
    assert study["present"]["check_cents"] > 0 == study["proposed"]["check_cents"]
    assert [(c["key"], c["field"], c["new"]) for c in study["changes"]] == [
        ("quality", "enabled", False),
        ("quality", "benchmark_rate", 0),
    ]
    page = (tmp_path / "report.html").read_text()
    assert "quality.enabled" in page
    assert "Proposed configuration" in page
    # Without a proposal the same present marketplace comes out.
    alone = json.loads(run("--out", tmp_path, "--json").stdout)
    assert alone["present"] == study["present"]


def test_a_population_of_ones_own(tmp_path: Path) -> None:
    people = tmp_path / "people.json"
    people.write_text('[{"name": "all", "share": 1, "bad": 0.01, "honest": true}]')
    result = run("--population", people, "--out", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    cohorts = json.loads(result.stdout)["present"]["cohorts"]
    assert [(c["name"], c["workers"]) for c in cohorts] == [("all", 200)]


@pytest.mark.parametrize(
    ("option", "text", "said"),
    [
        ("--config", "{", "is not JSON"),
        ("--population", "3", "is no population"),
        ("--population", "[]", "no cohort has a share"),
        ("--population", '[{"name": "a", "share": 1}]', "bad"),
        ("--population", '[{"name": "a", "share": 1, "bad": 2}]', "bad"),
        ("--population", '[{"name": "a", "share": 1, "bad": 0, "mood": 1}]', "mood"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, option: str, text: str, said: str) -> None:
    file = tmp_path / "in.json"
    file.write_text(text)
    result = run(option, file, "--out", tmp_path / "report")
    assert result.exit_code == 2
    assert said in re.sub(r"\s+│?\s*", " ", result.output)
    assert not (tmp_path / "report").exists()


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    result = run("--config", tmp_path / "none.json")
    assert result.exit_code == 2
    assert "cannot be read" in re.sub(r"\s+│?\s*", " ", result.output)


def test_a_proposal_that_is_no_configuration_is_refused_by_its_field(tmp_path: Path) -> None:
    proposal = tmp_path / "new.json"
    proposal.write_text('{"quality": {"shadow_rate": 7}}')
    result = run("--config", proposal, "--out", tmp_path / "report")
    assert isinstance(result.exception, Problem)  # which `main` prints as one line
    assert "shadow_rate" in result.exception.detail
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize("option", ["--load=0", "--load=1.5", "--miss=2", "--workers=3"])
def test_a_number_out_of_range_is_refused(option: str, tmp_path: Path) -> None:
    result = run("--out", tmp_path / "report", option)
    assert result.exit_code == 2
    assert not (tmp_path / "report").exists()


def test_the_table_goes_between_the_marks_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{BEGIN}\nas it was\n{END}\n\nAfter\n")
    assert run("--out", tmp_path, "--write-docs", page).exit_code == 0
    text = page.read_text()
    assert text.startswith(f"# Before\n\n{BEGIN}\n| figure | must reach |")
    assert text.endswith(f"{END}\n\nAfter\n")
    assert "as it was" not in text
    assert f"simulate --workers 200 --tasks 40 --seed 3 --write-docs {page}" in text
    assert "Missed: " in text  # forty tasks are too few for the cost to come down


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Nothing here\n")
    result = run("--out", tmp_path / "report", "--write-docs", page)
    assert isinstance(result.exception, Problem)
    assert page.read_text() == "# Nothing here\n"
    assert not (tmp_path / "report").exists()


def test_the_page_of_the_documentation_has_the_table() -> None:
    text = (DOCS / "explanation" / "quality.md").read_text()
    table = text.split(BEGIN)[1].split(END)[0]
    assert "openclaw-jobs simulate --write-docs docs/explanation/quality.md" in table
    assert ("**missed**" in table) == ("Missed: " in table)


def test_the_stored_configuration_is_the_present_one(
    tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", dsn)
    runner = CliRunner()
    assert runner.invoke(cli.app, ["migrate"]).exit_code == 0
    set_ = runner.invoke(cli.app, ["config", "set", "quality", '{"shadow_rate": 0}'])
    assert set_.exit_code == 0, set_.output
    result = run("--stored", "--out", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["present"]["shadows"] == 0
    assert DEFAULT_CONFIG.quality.shadow_rate > 0


def test_without_numpy_it_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['numpy'] = None\n"
        "from openclaw_jobs.cli import main\n"
        f"sys.argv = ['openclaw-jobs', 'simulate', '--out', {str(tmp_path / 'report')!r}]\n"
        "main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], text=True, capture_output=True, check=False
    )
    assert done.returncode == 2
    assert "openclaw-jobs[server,simulate]" in done.stderr
