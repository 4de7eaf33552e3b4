"""What this machine does with the marketplace: `python -m bench`, or `make bench`.

Each figure stands beside the limit of the same machine in the same run, so that it is the ratio
that counts: docs/explanation/performance.md says how to read it.
"""
