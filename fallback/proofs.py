"""Where the list of a file's chunks comes from when it is needed: the manifest, an earlier run, or the CID.

A CID proves a list as it proves the file: its root block has the digests, and any gateway may hand
that over (`?format=raw`, ipfs/specs trustless-gateway). Each gateway that is not known to be down is
asked once and none is waited for: without a list a file is fetched again as a whole, and that is all.
Only a CID of the manifest counts; one that merely was the newest in the database may be of other bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fallback import chunks
from fallback.health import Health, Up
from fallback.ipfs import reading
from fallback.ipfs.cid import RAW, Cid, CidError
from fallback.ipfs.reading import MAX_BLOCK, DagError, Leaf
from fallback.ipfs.unixfs import PROFILES
from fallback.judging import judge
from fallback.manifest import File
from fallback.outcome import Corrupt, Delivered, Failed, Malformed
from fallback.sources import IpfsGateway
from fallback.wanted import ipfs_path

if TYPE_CHECKING:
    from fallback.chunks import Chunks
    from fallback.run import Run
    from fallback.wanted import Wanted

_BLOCK = File("block.bin", size=None, sha256=None)
"""What `judge` is told that a block is."""


MAX_BLOCKS = 4096
"""Blocks that are asked for at most, a request each. A terabyte in chunks of a MiB has a thousand inner nodes;
whoever made the CID could have one for every few bytes."""


class NowhereError(Exception):
    """No gateway gave the block, or too many would be needed."""


def chunks_of(wanted: Wanted, run: Run) -> Chunks:
    """The chunks of the file, or none if nobody can prove any."""
    known = chunks.of_file(wanted.file)
    path = wanted.file.cid or ipfs_path(wanted.model, wanted.file)
    if known or path is None or _has_no_list(wanted):
        return known
    root, _, below = path.partition("/")
    useless: set[str] = set()
    left = MAX_BLOCKS

    def fetched(cid: Cid) -> bytes:
        nonlocal left
        left -= 1
        if left < 0:
            raise NowhereError
        return _block(cid, run, useless)

    try:
        cid = reading.resolve(Cid.parse(root), below, fetched)
        # A raw root is the file itself: it is not fetched to be told what its CID says already.
        only = [Leaf(0, wanted.file.size or 0, cid)] if cid.codec == RAW else None
        return chunks.of_leaves(only or reading.leaves(cid, fetched), wanted.file.size)
    except (CidError, DagError, NowhereError):
        return ()


def _has_no_list(wanted: Wanted) -> bool:
    """Whether the CID is known to be of a profile whose leaves are hashes of more than the file's bytes."""
    ipfs = wanted.model.ipfs
    profile = PROFILES.get(ipfs.profile or "") if ipfs and wanted.file.cid is None else None
    return profile is not None and not profile.raw_leaves


def _block(cid: Cid, run: Run, useless: set[str]) -> bytes:
    """The block of `cid`, proven, from the first gateway that gives it; those that do not are `useless`."""
    for source in run.sources:
        now = run.clock.now()
        up = isinstance(run.health.get(source.name, Health()).state(now), Up)
        if not (isinstance(source, IpfsGateway) and up) or source.name in useless:
            continue
        try:
            block = _asked(source, cid, run)
        except Failed as failed:
            run.check()
            useless.add(source.name)
            run.note(source, failed.outcome, now, None)
        else:
            run.note(source, Delivered("a block"), now, None)
            return block
    raise NowhereError


def _asked(source: IpfsGateway, cid: Cid, run: Run) -> bytes:
    request, rate = source.block(str(cid)), run.settings.min_rate_bytes_s
    with run.transport().open(request, min_rate_bytes_s=rate, ends_in_s=run.left_s()) as answer:
        judge(source, request, answer.head, _BLOCK, run.clock.now())
        block = b"".join(answer.pieces(MAX_BLOCK + 1))
    if len(block) > MAX_BLOCK:
        raise Failed(Malformed(f"a block of more than {MAX_BLOCK} bytes"))
    if not cid.proves(block):
        raise Failed(Corrupt(f"other bytes than the block {cid}"))
    return block
