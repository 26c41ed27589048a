"""Many machines that want the same models: a few fetch from outside, the others from those that have them.

`warming` is what happens on one node, and needs no scheduler; `waves` says who is next, and from whom;
`driving` has it done by Dask. Exclusions: how a file is had, proven and shared is the engine's and the
server's; nothing here coordinates but Dask.
"""
