"""The service: REST, a WebSocket, a page and Prometheus over the library (extra `serve`).

`serving` runs it, `app` is its routes, `guard` stands before them, `runs` has the syncs, `feed` tells
of them. Exclusions: no file is had here (`engine`), and nothing outside `cli.serve` imports this room,
for it needs what not every user has.
"""
