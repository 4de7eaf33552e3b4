"""A test whose output holds a secret fails: `make test` loads this plugin.

Output is what a test and the servers in it logged and wrote, with what programs that they started
wrote to the same places, the standard error of programs that were read with `communicate`, and all
that programs said whose helper hands it to `hear`.
Logs are not redacted in most tests (structlog is not configured there), so that what code hands to
a logger is seen here even where the redaction of a real log would catch it.
"""

import asyncio
import re
import subprocess
from collections.abc import Generator
from typing import Any, Final

import pytest

SECRETS: Final = {
    "a token": re.compile(r"\b(?:ocb|ocw|lease)_[A-Za-z0-9_-]{24,}"),
    "a secret of Stripe's": re.compile(r"\b(?:sk|rk|whsec)_[A-Za-z0-9_]{8,}"),
    "the operator's token": re.compile(r"admin-token-of-the-tests"),
    "a session's cookie": re.compile(r"(?i)\bcookie: ?\S+=\S+"),
    "an e-mail address": re.compile(r"[A-Za-z0-9._+-]+@(?:[a-z0-9-]+\.)*example\b"),
    "an e-mail address of example.com": re.compile(r"[A-Za-z0-9._+-]+@example\.(?:com|org|net)"),
    "a task's text": re.compile(r"unmistakable"),
}
"""What no output may hold; the last is a word that tests put into texts of tasks."""
_programs: list[str] = []


def leaks(text: str) -> list[str]:
    """What secrets are in `text`; each with its place, and itself cut short."""
    found = []
    for kind, pattern in SECRETS.items():
        for match in pattern.finditer(text):
            line = text[text.rfind("\n", 0, match.start()) + 1 : match.start()]
            found.append(f"{kind} ({match[0][:8]}…) after {line[-160:]!r}")
    return found


def hear(text: str) -> None:
    """Look, at the end of the test that runs, into what a program said to a pipe."""
    _programs.append(text)


def pytest_configure(config: pytest.Config) -> None:
    """Read the standard error of programs along with whoever reads it."""
    config.addinivalue_line("markers", "tells_secrets: this test itself writes secrets on purpose")
    original = subprocess.Popen.communicate
    waited_for = asyncio.subprocess.Process.communicate

    def communicate(self: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:  # noqa: ANN401
        out, err = original(self, *args, **kwargs)
        if err:
            hear(err if isinstance(err, str) else err.decode(errors="replace"))
        return out, err

    async def communicate_async(
        self: asyncio.subprocess.Process,
        input: Any = None,  # noqa: A002, ANN401 - its name there
    ) -> tuple[Any, Any]:
        out, err = await waited_for(self, input)
        hear((err or b"").decode(errors="replace"))
        return out, err

    asyncio.subprocess.Process.communicate = communicate_async  # type: ignore[method-assign]
    subprocess.Popen.communicate = communicate  # type: ignore[method-assign]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test at its end if anything that it wrote holds a secret."""
    report = yield
    if report.when == "teardown":
        written = [text for _, text in report.sections] + _programs
        _programs.clear()
        found = leaks("\n".join(written))
        if found and item.get_closest_marker("tells_secrets") is None:
            report.outcome = "failed"
            report.longrepr = "what this test wrote holds " + "; ".join(found[:5])
    return report
