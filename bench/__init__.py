"""The engine against what people would otherwise use, on one fake server, in one run: `python -m bench`.

Ratios, not records: what is measured is this machine as much as the programs. Nothing here asserts a speed.
"""
