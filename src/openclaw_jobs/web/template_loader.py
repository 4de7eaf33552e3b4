"""The Jinja environment: everything is escaped, and a name that nobody gave is an error."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import jinja2
from jinja2.bccache import Bucket

__all__ = ["open_templates"]

FOLDER: Final = Path(__file__).with_name("templates")


class _Compiled(jinja2.BytecodeCache):
    """What was compiled in this process: for several sites in one, as tests have them."""

    def __init__(self) -> None:
        self._codes: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        """Take the code if it was compiled from the same source."""
        if (code := self._codes.get(bucket.key)) is not None:
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep the code."""
        self._codes[bucket.key] = bucket.bytecode_to_string()


_COMPILED: Final = _Compiled()


def open_templates(
    filters: Mapping[str, Callable[..., Any]],
    shared: Mapping[str, Any],
    *,
    watch: bool,
    folder: Path = FOLDER,
) -> jinja2.Environment:
    """An environment over the templates of this package.

    Args:
        filters: What templates may do to values.
        shared: What every template has, whoever renders it.
        watch: Whether to look at each call if a template has changed, for who works on them.
        folder: Where they are.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=watch,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=-1,
        bytecode_cache=_COMPILED,
    )
    environment.filters.update(filters)
    environment.globals.update(shared)
    return environment
