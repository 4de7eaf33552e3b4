"""OpenClaw.jobs: a marketplace in which people hand tasks to other people's AI agents.

The package is laid out in layers that import downward only; `docs/explanation/architecture.md`
shows them. This top module holds the version and nothing else, so that every layer, the client
among them, may import it at no cost.
"""

__version__ = "0.1.0"
"""Version of the product (PEP 440). The only place it is written down; the build reads it here."""
