"""How the results of a category are compared, by the configuration."""

from collections.abc import Callable
from functools import cache, partial

import structlog

from openclaw_jobs.economy import ComparisonRule
from openclaw_jobs.quality.compare import compare
from openclaw_jobs.quality.models import Comparison, Embed, Method, Settings
from openclaw_jobs.quality.semantic import load_embedder

_log = structlog.get_logger(__name__)


def comparer(rule: "float | ComparisonRule") -> Callable[[str, str], Comparison]:
    """The comparison that a rule of `quality.thresholds` asks for.

    Where embeddings are asked for and the extra that makes them is missing, the default method
    stands in, with its own thresholds: one that was set is of another scale.
    """
    settings = settings_of(rule)
    if settings.method is not Method.SEMANTIC:
        return partial(compare, settings=settings)
    embed = _embedder()
    if embed is None:
        return partial(compare, settings=Settings())
    return partial(compare, settings=settings, embed=embed)


def settings_of(rule: "float | ComparisonRule") -> Settings:
    """A rule as the engine takes it; a number is a threshold of the default method."""
    if isinstance(rule, ComparisonRule):
        threshold = None if rule.threshold is None else float(rule.threshold)
        return Settings(method=Method(rule.method), threshold=threshold)
    return Settings(threshold=float(rule))


@cache
def _embedder() -> Embed | None:
    try:
        return load_embedder()
    except RuntimeError as error:
        _log.warning("semantic_comparison_unavailable", reason=str(error))
        return None
