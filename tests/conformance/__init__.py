"""The conformance suite: puts any downloader, in any language, through the fakes. PROTOCOL.md is its contract.

It tests an executable and measures what PROTOCOL.md lists, nothing else. It imports pytest, `fakes` and the standard
library, never `fallback`: what is under test is a program (`clients/`), also where it is this project's own engine.
Installed, this package is called `fallback_conformance`; inside, all imports are relative.
"""
