"""A skipped test fails: `make test` loads this plugin where CI is `true`.

A skip is a fair answer on somebody's laptop. Where a machine decides whether a change lands, a
test that did not run has proved nothing; so skips, and expected failures with them, become
failures that name their reason.
"""

from collections.abc import Generator

import pytest


def _refuse(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome != "skipped":
        return
    reason = getattr(report, "wasxfail", None) or report.longrepr
    if isinstance(reason, tuple):
        path, line, message = reason
        reason = f"{path}:{line}: {message}"
    vars(report).pop("wasxfail", None)
    report.outcome = "failed"
    report.longrepr = f"no test may be skipped here: {reason}"


# tryfirst makes this the outermost wrapper, so pytest's own has already turned a skip mark or an
# expected failure into a skipped report when it comes by.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that was skipped or was expected to fail."""
    report = yield
    _refuse(report)
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fail a file that was skipped as a whole."""
    report = yield
    _refuse(report)
    return report
