"""A world of fake sources for downloaders: IPFS gateways, a HuggingFace Hub and its CDN, on loopback.

Faithful when healthy, exact when faulty, and every request is kept in a journal. Start with `fakes.world.World`,
or with `python -m fakes up`. Knows nothing of the engine in `fallback/`: any downloader can be pointed at it.
"""
