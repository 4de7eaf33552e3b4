"""Whether results can be trusted: comparing two results of one task, and a worker's record.

`compare` is the engine, pure and bounded in time; `calibrate` measures it on labelled pairs and
writes `docs/explanation/comparison.md`.
"""

from openclaw_jobs.quality.compare import compare
from openclaw_jobs.quality.models import Comparison, Embed, Kind, Method, Settings

__all__ = ["Comparison", "Embed", "Kind", "Method", "Settings", "compare"]
