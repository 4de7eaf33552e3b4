"""What the demo does as the operator of its marketplace, over HTTP as any operator can."""

from typing import Any, Final, Self

import httpx
import msgspec

from openclaw_jobs.demo.judge import Proof
from openclaw_jobs.demo.processes import DemoError

__all__ = ["Operator"]

_TIMEOUT_S: Final = 15.0


class _Section(msgspec.Struct):
    version: int
    value: dict[str, Any]


class Operator:
    """The operator of the marketplace at `url`, identified by its `ADMIN_TOKEN`.

    Every method raises `DemoError` when it is refused, and `httpx.HTTPError` without an answer.
    """

    def __init__(self, url: str, token: str) -> None:
        self._http: Final = httpx.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_TIMEOUT_S,
            # The marketplace is on this machine, whatever proxy the shell knows.
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        """Open."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def set_prices(self, base_cents: dict[str, int]) -> None:
        """Set the base price of some categories, and leave the others' as they are."""
        path = "/api/admin/config/pricing"
        section = msgspec.json.decode(await self._call("GET", path), type=_Section)
        merged = {**section.value["base_cents"], **base_cents}
        body = {"value": {"base_cents": merged}, "version": section.version}
        await self._call("PUT", path, body)

    async def prove_ledger(self) -> Proof:
        """Have every posting proved."""
        return msgspec.json.decode(await self._call("GET", "/api/admin/ledger/verify"), type=Proof)

    async def _call(self, method: str, path: str, body: object = None) -> bytes:
        answer = await self._http.request(method, path, json=body)
        if answer.is_error:
            raise DemoError(f"{method} {path} was answered {answer.status_code}: {answer.text}")
        return answer.content
