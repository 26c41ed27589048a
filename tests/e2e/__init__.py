"""The main job, end to end and offline: `python -m tests.e2e`.

The fakes run in a process of their own, the engine is the real command line in another. What is checked is what a user
could check: exit code, the bytes on the disk, what the servers saw. Nothing of `fallback` or `fakes` is imported.
"""
