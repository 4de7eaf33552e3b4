"""The engine that asks a model on any server that speaks OpenAI's chat completions."""

from __future__ import annotations

import asyncio
import random
from typing import Any, Final

import httpx
import msgspec

from openclaw_jobs.client.models import Assignment
from openclaw_jobs.client.program.engine import (
    MAX_RESULT_BYTES,
    Outcome,
    Progress,
    clean,
    conversation,
)
from openclaw_jobs.client.retry import RetryPolicy

_CONNECT_S: Final = 10.0
_SILENCE_S: Final = 600.0
"""Seconds a model may think without a byte; `--timeout` bounds the whole."""
_DETAIL_CHARS: Final = 300
_PROGRESS_CHARS: Final = 200
"""How much a result grows between two lines of progress."""
_TRY_AGAIN: Final = frozenset({429, 502, 503, 504})
_KEY_REFUSED: Final = frozenset({401, 403})
_BAD: Final = 400


class _Text(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Text | None = None
    delta: _Text | None = None


class _Completion(msgspec.Struct):
    """What is read of an answer, whole or one piece of a stream."""

    choices: list[_Choice] = []
    usage: dict[str, Any] | None = None


class _ServerError(msgspec.Struct):
    error: Any = None


_completion: Final = msgspec.json.Decoder(_Completion).decode


def completions_url(base: str) -> str:
    """The address of the completions under a base address given with or without `/v1`."""
    base = base.rstrip("/")
    if base.endswith("/chat/completions"):
        return base
    return f"{base}/chat/completions" if base.endswith("/v1") else f"{base}/v1/chat/completions"


class _FailedError(Exception):
    """The model server's answer is a failure; `again` says whether another try may help."""

    def __init__(self, label: str, detail: str = "", *, again: bool = False) -> None:
        super().__init__(label)
        self.outcome: Final = Outcome.failure(label, detail)
        self.again: Final = again


class OpenAiEngine:
    """Sends each task's messages to `model` and takes the answer as the result.

    Asks for a stream, so that the buyer sees progress, and reads a whole answer as well. A server
    that is away or busy is tried a few times; anything else it says against it is a failure.
    """

    def __init__(
        self, base_url: str, model: str, *, api_key: str | None, timeout_s: float | None = None
    ) -> None:
        self._url: Final = completions_url(base_url)
        self._model: Final = model
        self._timeout_s: Final = timeout_s
        self._retry: Final = RetryPolicy(attempts=4, base_s=0.5)
        self._rng: Final = random.Random()  # noqa: S311 - only spreads the waits
        headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        timeout = httpx.Timeout(_SILENCE_S, connect=_CONNECT_S)
        limits = httpx.Limits(max_connections=None)
        self._client: Final = httpx.AsyncClient(headers=headers, timeout=timeout, limits=limits)

    async def run(self, task: Assignment, progress: Progress) -> Outcome:
        """Ask the model; cancelling closes the connection, which stops most servers' work."""
        body = msgspec.json.encode(
            {"model": self._model, "messages": conversation(task), "stream": True}
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._try(body, progress)
        except TimeoutError:
            return Outcome.failure(f"timed out after {self._timeout_s:g} s")

    async def _try(self, body: bytes, progress: Progress) -> Outcome:
        tries = 0
        while True:
            try:
                return await self._ask(body, progress)
            except _FailedError as error:
                tries += 1
                if not error.again or tries >= self._retry.attempts:
                    return error.outcome
            await asyncio.sleep(self._retry.backoff(tries, self._rng))

    async def _ask(self, body: bytes, progress: Progress) -> Outcome:
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        try:
            async with self._client.stream(
                "POST", self._url, content=body, headers=headers
            ) as response:
                if response.status_code >= _BAD:
                    raise _refusal(response.status_code, await response.aread())
                if response.headers.get("content-type", "").startswith("text/event-stream"):
                    return await _read_stream(response, progress)
                return _read_whole(await response.aread())
        except httpx.HTTPError as error:
            raise _FailedError("model server away", type(error).__name__, again=True) from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise _FailedError("model server's answer unreadable", str(error)) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()


def _refusal(status: int, body: bytes) -> _FailedError:
    label = f"model server answered {status}"
    if status in _KEY_REFUSED:
        # no detail: these servers repeat parts of the key in it
        return _FailedError(label, "the API key was refused")
    try:
        said = msgspec.json.decode(body, type=_ServerError).error
        detail = said.get("message", "") if isinstance(said, dict) else said
    except (msgspec.MsgspecError, UnicodeDecodeError):
        detail = body.decode("utf-8", "replace")
    return _FailedError(label, str(detail or "")[:_DETAIL_CHARS], again=status in _TRY_AGAIN)


def _read_whole(body: bytes) -> Outcome:
    answer = _completion(body)
    message = answer.choices[0].message if answer.choices else None
    return _finish(message.content if message else None, answer.usage)


async def _read_stream(response: httpx.Response, progress: Progress) -> Outcome:
    pieces: list[str] = []
    usage: dict[str, Any] | None = None
    size = told = 0
    done = False
    async for line in response.aiter_lines():
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or not data:
            continue
        if data == "[DONE]":
            done = True
            break
        piece = _completion(data)
        usage = piece.usage or usage
        delta = piece.choices[0].delta if piece.choices else None
        if delta is None or not delta.content:
            continue
        pieces.append(delta.content)
        size += len(delta.content)
        if size > MAX_RESULT_BYTES:
            break
        if size - told >= _PROGRESS_CHARS:
            told = size
            progress(f"{size} characters written")
    if not done and size <= MAX_RESULT_BYTES:
        raise _FailedError("model server's stream broke off", again=True)
    return _finish("".join(pieces), usage)


def _finish(text: str | None, usage: dict[str, Any] | None) -> Outcome:
    result = clean(text or "")
    if not result.strip():
        return Outcome.failure("no output")
    if len(result.encode()) > MAX_RESULT_BYTES:
        return Outcome.failure(f"result larger than {MAX_RESULT_BYTES} bytes")
    return Outcome(result=result, usage=usage)
