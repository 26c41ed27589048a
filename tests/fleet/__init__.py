"""A fleet of nodes on this machine, behind one narrow line: `python -m tests.fleet`, `make e2e-fleet`."""
