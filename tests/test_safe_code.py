"""What the code does without: primitives of its own or broken ones, code from data, other hosts."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_house import FILES, PACKAGE, imports, tree_of

SCRIPTS = sorted((PACKAGE / "web" / "static").glob("*.js"))

# Whose chance decides nothing that somebody must not guess: when a retry comes, which wait is
# shortened. The market's own (`app.py`) is the system's.
SPREADS_LOAD = {
    "client/program/link.py", "client/program/openai.py", "client/session.py", "economy/cache.py",
}  # fmt: skip

# What reads data into objects of any kind, or XML with its entities.
NEVER_READ_WITH = {"dill", "jsonpickle", "lxml", "marshal", "pickle", "shelve", "xml", "yaml"}

# Runs Python that a task holds: an example of a worker, on a worker's machine, in a sandbox.
RUNS_CODE = {"demo/agents/python_sandbox.py"}

# Who calls others. The addresses are settings of the operator, and a worker's of their own program.
CALLS_OTHERS = {
    "client/program/openai.py", "client/transport/aiohttp_transport.py",
    "client/transport/httpx_transport.py", "demo/operator.py", "identity/mail/smtp.py",
    "identity/oauth/calls.py", "payments/deposits/gateway.py", "payments/providers/paypal.py",
    "payments/providers/solana.py",
}  # fmt: skip
OPENS = re.compile(
    r"(httpx\.(Async)?Client|stripe\.HTTPXClient|aiohttp\.ClientSession|aiosmtplib\.send"
    r"|.*urlopen|.*HTTPS?Connection|.*create_connection|.*open_connection)$"
)


def calls() -> Iterator[tuple[str, str]]:
    """Each call in the program: the file, and what is called."""
    for path in FILES:
        name = str(path.relative_to(PACKAGE))
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call):
                yield name, ast.unparse(node.func)


def test_hashes_are_approved_ones_of_the_standard_library() -> None:
    hashes = {called for _, called in calls() if re.fullmatch(r"(hashlib|hmac)\.\w+", called)}
    assert hashes == {"hashlib.sha256", "hashlib.blake2b", "hmac.compare_digest", "hmac.digest"}
    taken = {module for path in FILES for _, module in imports(tree_of(path))}
    roots = {module.partition(".")[0] for module in taken}
    assert not roots & {"Crypto", "Cryptodome", "cryptography", "nacl", "rsa", "ecdsa", "jwt"}


def test_chance_that_guards_something_is_the_systems() -> None:
    """`secrets` and `SystemRandom`; a plain generator only spreads load."""
    plain = {
        name
        for name, called in calls()
        if re.match(r"random\.(?!SystemRandom$)", called) and not name.startswith("simulate/")
    }
    assert plain == SPREADS_LOAD


def test_data_is_never_run_nor_made_into_objects_of_its_choice() -> None:
    assert {name for name, called in calls() if called in {"eval", "exec"}} == RUNS_CODE
    for path in FILES:
        roots = {module.partition(".")[0] for _, module in imports(tree_of(path))}
        assert not roots & NEVER_READ_WITH, path
    made = {
        called
        for _, called in calls()
        if re.search(r"\b(Template|[Ee]nv\w*\.from_string)$", called)
    }
    assert made == set(), "a template is a file of ours"


def test_who_calls_others_is_known() -> None:
    assert {name for name, called in calls() if OPENS.match(called)} == CALLS_OTHERS


def test_the_pages_scripts_are_found() -> None:
    assert {"app.js", "chat.js"} <= {path.name for path in SCRIPTS}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_keep_nothing_run_no_text_and_hear_no_other_window(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for word in (
        "localStorage", "sessionStorage", "indexedDB", "caches.", "serviceWorker", "eval(",
        "new Function", "document.write", "outerHTML =", "insertAdjacentHTML", "postMessage",
        'addEventListener("message"', "onmessage", "__proto__", ".prototype", "Object.assign",
        'setTimeout("',
    ):  # fmt: skip
        assert word not in text, word
    # The one cookie that script writes holds the theme.
    written = re.findall(r"document\.cookie\s*=\s*`(.+?)=", text)
    assert written in ([], ["${prefix}theme"])


def test_no_shell_reads_a_command_line_of_ours() -> None:
    shells = re.compile(
        r"os\.(system|popen|spawn\w*)|.*\bsubprocess_shell|subprocess\.get\w*output"
    )
    assert not [found for found in calls() if shells.match(found[1])]
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            assert not isinstance(node, ast.keyword) or node.arg != "shell", path
