"""IPFS without a node: CIDs, UnixFS DAGs, CARv1. Pure, and of the standard library alone.

    varint    unsigned variable-length integers, as CIDs, protobuf and CAR have them
    cid       a CID: version, codec, multihash; text and bytes
    dagpb     the codec of a DAG's inner nodes
    unixfs    what the nodes of files and directories say; the profiles of IPIP-499
    building  bytes -> blocks: files and directories
    hamt      directories too large for one block
    reading   blocks -> bytes, each block proven by the CID that names it
    car       CARv1: blocks as a stream

Nothing here opens a connection, and nothing of the engine is imported: the fakes use this, too.
"""

from __future__ import annotations
