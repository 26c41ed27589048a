"""Models in one file: how it is made, and how a machine without a network gets them out of it."""
