"""The pages of which there are pictures. A new page is one more line here."""

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

__all__ = ["PAGES", "Shot", "Who"]

Who = Literal["nobody", "newcomer", "buyer", "worker", "operator"]
"""Who looks: nobody signed in, a buyer without a task, one with a history, a worker with earnings
in a browser that holds its token, an operator."""


class Shot(msgspec.Struct, frozen=True):
    """A picture of a page, in both themes and widths.

    Attributes:
        name: Of its files.
        path: Where the page is; `{…}` stands for a value of the story, such as `{task}`.
        who: Who looks.
        click: What is clicked first, as Playwright's selector: a dialog, a tab.
        fill: What is filled in first: selectors and values.
        send: The forms that are sent one after the other to come to the page, as selectors.
        late: Whether it needs what `more.py` tells, which happens once all others are taken.
        status: What the page answers with.
        shown: Also wanted in full size, for the docs.
    """

    name: str
    path: str
    who: Who = "nobody"
    click: str | None = None
    fill: tuple[tuple[str, str], ...] = ()
    send: tuple[str, ...] = ()
    late: bool = False
    status: int = 200
    shown: bool = False

    def url(self, facts: Mapping[str, str]) -> str:
        """Its path in a story."""
        return self.path.format_map(facts)


PAGES: Final = (
    Shot("landing", "/", shown=True),
    Shot("sign-in", "/sign-in"),
    Shot("chat", "/chat/{conversation}", "buyer", shown=True),
    Shot("chat-new", "/chat", "newcomer"),
    Shot("dashboard", "/dashboard", "buyer", shown=True),
    Shot("dashboard-new", "/dashboard", "newcomer"),
    Shot("deposit", "/deposit", "buyer"),
    Shot("tasks", "/tasks", "buyer"),
    Shot("task", "/tasks/{task}", "buyer"),
    Shot("worker", "/worker", "worker", shown=True),
    Shot("worker-gate", "/worker"),
    Shot("worker-guide", "/worker/guide", "worker"),
    Shot("worker-earnings", "/worker/earnings", "worker"),
    Shot("worker-payouts", "/worker/payouts", "worker"),
    Shot("worker-profile", "/worker/profile", "worker"),
    Shot("worker-standing", "/worker/standing", "worker"),
    Shot("operator", "/operator", "operator", shown=True),
    Shot("operator-config", "/operator/config", "operator"),
    Shot("operator-config-pricing", "/operator/config/pricing", "operator"),
    Shot("operator-workers", "/operator/workers", "operator"),
    Shot("operator-buyers", "/operator/buyers", "operator"),
    Shot("operator-checks", "/operator/checks", "operator"),
    Shot("operator-payouts", "/operator/payouts", "operator"),
    Shot("operator-books", "/operator/reconciliation", "operator"),
    Shot("operator-benchmarks", "/operator/benchmarks", "operator"),
    Shot("operator-audit", "/operator/audit", "operator"),
    Shot("account", "/account", "buyer"),
    Shot("account-new", "/account", "newcomer"),
    Shot("not-found", "/no-such-page", status=404),
    Shot("styleguide", "/styleguide", "buyer"),
    Shot("chat-list", "/chat/list", "buyer", late=True),
    Shot("chat-search", "/search?q=query", "buyer", late=True),
    Shot("chat-again", "/chat/turns/{turn_id}/again?another=true", "buyer", late=True),
    Shot(
        "chat-delete",
        "/chat/{conversation}",
        "buyer",
        send=('form[action$="/delete"]',),
        late=True,
    ),
    Shot("shared", "/s/{token}", late=True),
    Shot("deposit-success", "/deposit/success?session_id={session_id}", "buyer", late=True),
    Shot("deposit-cancel", "/deposit/cancel", "buyer", late=True),
    Shot("receipt", "/receipts/{deposit_id}", "buyer", late=True),
    Shot("operator-worker", "/operator/workers/{worker_id}", "operator", late=True),
    Shot("operator-buyer", "/operator/buyers/{buyer}", "operator", late=True),
    Shot("operator-check", "/operator/checks/{check_id}", "operator", late=True),
    Shot("operator-appeals", "/operator/appeals", "operator", late=True),
    Shot("operator-credits", "/operator/credits", "operator", late=True),
    Shot("operator-deposits", "/operator/deposits", "operator", late=True),
    Shot("operator-flags", "/operator/flags", "operator", late=True),
    Shot("operator-pairs", "/operator/pairs", "operator"),
    Shot("operator-webhooks", "/operator/webhooks", "operator", late=True),
    Shot(
        "operator-config-review",
        "/operator/config/quality",
        "operator",
        fill=(('[name="shadow_rate"]', "0.1"),),
        send=('form[action$="/review"]',),
        late=True,
    ),
    Shot(
        "operator-config-trial",
        "/operator/config/quality",
        "operator",
        fill=(('[name="shadow_rate"]', "0.1"),),
        send=('form[action$="/review"]', "form[data-trial]"),
        late=True,
    ),
    # Each look makes a worker, so it comes last.
    Shot(
        "worker-token",
        "/worker",
        fill=(('form[action="/worker/connect"] [name="name"]', "Night shift"),),
        send=('form[action="/worker/connect"]',),
        late=True,
    ),
)
