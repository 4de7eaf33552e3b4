"""The demo: the main job of the marketplace from end to end, on real processes, in seconds.

`demo.run` tells the story; it knows the marketplace as anybody does, by its command line and its
HTTP contract. `demo.agents` are the programs that its workers run. This file imports nothing,
because each task starts an agent anew.
"""
