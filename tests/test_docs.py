"""The documentation leads somewhere: links, anchors, make targets, routes, names."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from litestar.routes import HTTPRoute
from typer.testing import CliRunner

from openclaw_jobs import cli
from openclaw_jobs.app import compose, create_app, open_runtime, prepare_database
from openclaw_jobs.kit.errors import STATUS_BY_CODE
from openclaw_jobs.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def links(page: Path) -> Iterator[str]:
    """The relative links of a page; code is no link."""
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", page.read_text(encoding="utf-8")))
    for target in LINK.findall(prose):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as a Markdown viewer makes them."""
    headings = re.findall(
        r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE
    )
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {text.strip().replace(" ", "-") for text in words}


def resolve(page: Path, target: str) -> tuple[Path, str]:
    path, _, anchor = target.partition("#")
    return ((page.parent / path).resolve() if path else page), anchor


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, anchor = resolve(page, target)
        assert path.is_relative_to(ROOT), f"{target} leaves the repository"
        assert path.exists(), f"{target} does not exist"
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"{target}: no such heading"


def test_every_page_is_reached_from_the_index() -> None:
    reached: set[Path] = set()
    waiting = [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        waiting.extend(resolve(page, target)[0] for target in links(page))
    assert not [name_of(page) for page in DOCS.rglob("*.md") if page not in reached]


def make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_make_targets_exist(page: Path) -> None:
    """Each `make X` in code, in a block or in a line, is a target."""
    text = page.read_text(encoding="utf-8")
    blocks = [line for block in FENCE.findall(text) for line in block.splitlines()]
    inline = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    for code in blocks + inline:
        for command in re.findall(r"(?:^|[;&|] ?|\s)make((?: +[A-Za-z_][\w-]*(?:=\S+)?)+)", code):
            words = [word for word in command.split() if "=" not in word]
            assert set(words) <= make_targets(), f"make{command}"


def test_make_help_lists_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    described = set(re.findall(r"^([a-z-]+):.*## ", text, re.MULTILINE))
    assert described == make_targets()
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    assert set(phony[1].split()) == make_targets()


def test_every_error_code_is_documented() -> None:
    """Each code stands in a row of the table of errors that has its status."""
    page = (DOCS / "reference" / "http-api.md").read_text(encoding="utf-8")
    table = [row for row in page.split("## Errors")[1].splitlines() if row.startswith("| ")]
    for code, status in STATUS_BY_CODE.items():
        statuses = [row.split("|")[1] for row in table if f"`{code}`" in row]
        assert any(str(status) in cell for cell in statuses), f"{status} {code}"


class Recorder(Mapping[str, str]):
    """An empty environment that notes which names it is asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def test_the_environment_is_documented() -> None:
    """The settings, `.env.example` and the reference name the same variables."""
    environment = Recorder()
    Settings.from_environment(environment)
    # A client's secret has a second name, for those who write PAYPAL_SECRET.
    short = {name.replace("_CLIENT_SECRET", "_SECRET") for name in environment.asked}
    secrets = {name for name in short if name.endswith("_SECRET")}
    asked = environment.asked - {
        name for name in secrets if f"{name.removesuffix('_SECRET')}_CLIENT_ID" in short
    }

    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^#?([A-Z][A-Z_]+)=", example, re.MULTILINE)) == asked

    page = (DOCS / "reference" / "environment.md").read_text(encoding="utf-8")
    cells = [row.split("|")[1:4] for row in page.split("## Tests")[0].splitlines() if "|" in row]
    named = re.findall(r"`([A-Z][A-Z_]{3,})`", " ".join(cell[0] + cell[1] for cell in cells))
    assert set(named) - {"INFO"} == asked


DESCRIPTION = {"/api", "/api/openapi.json"}  # where the framework describes the others


def documented_routes() -> tuple[set[str], set[str]]:
    """The routes of the contract that are served, and those marked as still to come."""
    page = (DOCS / "reference" / "http-api.md").read_text(encoding="utf-8")
    served: set[str] = set()
    to_come: set[str] = set()
    for row in page.splitlines():
        cell = row.split(" | ")[0]
        routes = re.findall(r"(GET|POST|PUT|PATCH|DELETE) `(/[^`?]*)`", cell)
        into = to_come if "**to come**" in cell else served
        if row.startswith("| "):
            into.update(f"{method} {re.sub(r'{[^}]*}', '{}', path)}" for method, path in routes)
    return served, to_come


async def test_the_contract_lists_the_routes_that_are_served(dsn: str) -> None:
    settings = Settings()
    await prepare_database(settings, dsn)
    async with open_runtime(settings, dsn) as runtime:
        app = create_app(runtime, compose(runtime))
    served = {
        f"{method} {re.sub(r'{[^}]*}', '{}', route.path)}"
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method not in {"HEAD", "OPTIONS"} and route.path not in DESCRIPTION
    }
    api = {route for route in served if route.split()[1].startswith(("/api", "/metrics"))}
    documented, to_come = documented_routes()
    assert api == documented
    assert not api & to_come
    assert served - api == documented_pages()


def documented_pages() -> set[str]:
    """The addresses of the site in docs/reference/pages.md."""
    page = (DOCS / "reference" / "pages.md").read_text(encoding="utf-8")
    found: set[str] = set()
    for row in page.splitlines():
        if row.startswith("| "):
            routes = re.findall(r"(GET|POST) `(/[^`?]*)`", row.split(" | ")[0])
            found.update(f"{method} {re.sub(r'{[^}]*}', '{}', path)}" for method, path in routes)
    return found


COMMAND_GROUPS = {"buyer", "config", "ledger", "operator"}


def commands(page: Path) -> Iterator[tuple[list[str], set[str]]]:
    """Each call of the command line in a page's code: the command's words, and its options."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    code = [line for block in FENCE.findall(text) for line in block.splitlines()]
    code += re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    for line in code:
        for call in re.findall(r"(?:^|\s)openclaw-jobs ([a-z][^;&|]*)", line):
            words = call.split()
            length = 2 if words[0] in COMMAND_GROUPS else 1
            yield words[:length], set(re.findall(r"(?<!\S)\[?(--[a-z-]+)", call))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_their_options_exist(page: Path) -> None:
    for words, options in commands(page):
        result = CliRunner().invoke(cli.app, [*words, "--help"])
        assert result.exit_code == 0, f"openclaw-jobs {' '.join(words)}: {result.output}"
        unknown = {option for option in options if option not in result.output}
        assert not unknown, f"openclaw-jobs {' '.join(words)}: {unknown}"


def test_the_security_table_names_what_there_is() -> None:
    """Each file that a row of the table of ASVS names exists, and each test is in its file."""
    page = (DOCS / "explanation" / "security.md").read_text(encoding="utf-8")
    rows = [row.split("|") for row in page.splitlines() if re.match(r"\| \d+\.\d+\.\d+", row)]
    assert len(rows) > 100
    for _, item, where, shown, _ in rows:
        assert shown.strip() == "none" or re.search(r"`tests/", shown), item
        for path, names in re.findall(r"`(tests/[\w/.]+)((?:::\w+)*)`", shown):
            assert (ROOT / path).exists(), f"{item}: {path}"
            for name in names.split("::")[1:]:
                text = (ROOT / path).read_text(encoding="utf-8")
                assert re.search(rf"(?:def|class) {name}\b", text), f"{item}: {path} {name}"
        for path in re.findall(r"`([\w./]+(?:/[\w.]*|\.(?:py|html|js|yaml)))`", where):
            there = (ROOT / path, ROOT / "src" / "openclaw_jobs" / path)
            assert path.startswith("/") or any(p.exists() for p in there), f"{item}: {path}"
