"""The least likeness that agrees, for each kind of text and method.

Calibrated on the labelled pairs (`calibrate`, docs/explanation/comparison.md); a test holds them
together. An operator's own threshold for a category takes their place.
"""

from collections.abc import Mapping
from typing import Final

from openclaw_jobs.quality.models import Kind, Method

THRESHOLDS: Final[Mapping[Kind, Mapping[Method, float]]] = {
    Kind.PROSE: {Method.JACCARD: 0.51, Method.TOKEN_SORT: 0.75, Method.SEMANTIC: 0.91},
    Kind.SHORT: {Method.JACCARD: 0.85, Method.TOKEN_SORT: 0.83, Method.SEMANTIC: 0.91},
    Kind.LIST: {Method.JACCARD: 0.52, Method.TOKEN_SORT: 0.64, Method.SEMANTIC: 0.72},
}


def threshold(kind: Kind, method: Method) -> float:
    """The calibrated threshold; what is neither a list nor short counts as prose."""
    return THRESHOLDS.get(kind, THRESHOLDS[Kind.PROSE])[method]
