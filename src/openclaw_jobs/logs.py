"""Logs: JSON lines in production, a readable line in development, and no secret in either.

Everything goes to standard error; standard output is for what a command prints.
"""

import functools
import json as json_module
import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Final, TextIO

import msgspec
import structlog

from openclaw_jobs.kit.log_context import merge_context

__all__ = ["configure_logging", "describe_exception"]

_SECRET_KEYS: Final = re.compile(
    r"(?i).*(authorization|cookie|token|secret|passw|api_?key|raw_key|keypair|dsn|_url).*"
    r"|prompt|messages|result|progress|metadata|reason|query(_string)?|body|email"
)
"""Keys whose values are never logged: credentials, and what people write in tasks."""
_SECRET_VALUES: Final = re.compile(
    r"\b(?:ocb|ocw|lease|sk|rk|whsec)_[A-Za-z0-9_-]{8,}"
    r"|\b[Bb]earer\s+[A-Za-z0-9._~+/=-]{4,}"
    r"|(?<=://)[^/@\s:]*:[^/@\s]+(?=@)"
)
_EMAILS: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_REDACTED: Final = "[redacted]"
_MAX_VALUE_CHARS: Final = 500
_DATA_EXCEPTION_CLASSES: Final = ("22", "23")
"""SQLSTATE classes whose message may quote a value: data exceptions and integrity violations."""

_QUIET: Final = ("uvicorn", "alembic", "asyncio")
"""Loggers whose everyday news are ours to tell, or nobody's."""

_ROUTED: Final = ("uvicorn", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "litestar")


def configure_logging(*, level: str, json: bool, stream: TextIO | None = None) -> None:
    """Send every logger of the process to one place and form.

    Args:
        level: The least severe level that is written.
        json: One JSON object a line; otherwise lines for people.
        stream: Where to; standard error when None.
    """
    target = stream or sys.stderr
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        merge_context,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _format_exception,
        redact,
    ]
    renderer: structlog.typing.Processor
    if json:
        renderer = structlog.processors.JSONRenderer(serializer=_to_json)
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        # Straight to the stream: the way through `logging` costs 100 microseconds a line.
        logger_factory=lambda *name: _LineLogger(name[0] if name else "openclaw_jobs", target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _ROUTED:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # Ours has the route's template and the caller; theirs has the raw path with its query.
    logging.getLogger("uvicorn.access").disabled = True
    # What a client library calls, with its query, is nobody's business either.
    for name in (*_QUIET, "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)


class _LineLogger:
    """Writes finished lines to a stream."""

    __slots__ = ("_stream", "name")

    def __init__(self, name: str, stream: TextIO) -> None:
        self.name = name
        self._stream = stream

    def msg(self, line: str) -> None:
        """Write one line, whole."""
        self._stream.write(f"{line}\n")
        self._stream.flush()

    debug = info = warning = error = critical = fatal = exception = log = msg


def _to_json(event: Any, **_: Any) -> str:  # noqa: ANN401 - structlog's signature
    try:
        return msgspec.json.encode(event, enc_hook=str).decode()
    except (TypeError, ValueError):
        # Lone surrogates, integers past 64 bits, keys that are no strings.
        return json_module.dumps(event, default=str)


def redact(
    _: Any,  # noqa: ANN401 - structlog's signature
    __: str,
    event: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    """Processor: drop the values of secret keys, and what looks like a token anywhere."""
    for key, value in event.items():
        if key in {"level", "timestamp", "logger", "_record", "_from_structlog"}:
            continue
        if _is_secret(key) or (isinstance(value, bytes) and value):
            event[key] = _REDACTED
        elif isinstance(value, str):
            event[key] = value if key == "exception" else _clean(value)[:_MAX_VALUE_CHARS]
        elif isinstance(value, dict | list | tuple):
            event[key] = _redact_inside(value)
    return event


def describe_exception(error: BaseException) -> str:
    """A traceback without variables or source of data: frames, types, and safe messages."""
    parts: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        frames = "".join(traceback.format_tb(link.__traceback__))
        parts.append(f"{frames}{type(link).__module__}.{type(link).__qualname__}: {_message(link)}")
        if isinstance(link, BaseExceptionGroup):
            parts.extend(describe_exception(inner) for inner in link.exceptions)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n\nwhich came from\n\n".join(parts)


def _format_exception(
    _: Any,  # noqa: ANN401 - structlog's signature
    __: str,
    event: MutableMapping[str, Any],
) -> MutableMapping[str, Any]:
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = describe_exception(error)
    return event


def _message(error: BaseException) -> str:
    """What an exception says, unless it may quote somebody's data."""
    sqlstate = getattr(error, "sqlstate", None)
    diagnosis = getattr(error, "diag", None)
    if isinstance(sqlstate, str) and diagnosis is not None:
        if sqlstate.startswith(_DATA_EXCEPTION_CLASSES):
            where = diagnosis.constraint_name or diagnosis.column_name or diagnosis.table_name
            return f"SQLSTATE {sqlstate}" + (f" ({where})" if where else "")
        return _clean(f"SQLSTATE {sqlstate}: {diagnosis.message_primary}")
    return _clean(str(error))[:_MAX_VALUE_CHARS]


@functools.lru_cache(maxsize=1024)
def _is_secret(key: str) -> bool:
    return _SECRET_KEYS.fullmatch(key) is not None


def _clean(text: str) -> str:
    if "@" in text:
        text = _EMAILS.sub(_REDACTED, text)
    return _SECRET_VALUES.sub(_REDACTED, text)


def _redact_inside(value: Any) -> Any:  # noqa: ANN401 - any value that somebody logs
    if isinstance(value, dict):
        return {k: _REDACTED if _is_secret(str(k)) else _redact_inside(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_redact_inside(v) for v in value]
    return _clean(value)[:_MAX_VALUE_CHARS] if isinstance(value, str) else value
