"""The tar of bundles: the same bytes always, read by others' tools; and nothing but plain files is taken."""

from __future__ import annotations

import io
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fallback import tar
from fallback.tar import BLOCK, END, CutError, Tar, TarError, header, padding

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = [
    "a.txt",
    "folder/" + "x" * 140 + "/" + "y" * 90,
    "z" * 180 + "/f",
    "/".join(["segment" * 10] * 12),
    "münchen/模型.bin",
    "m" * 100,
    "m" * 101,
]


class Pipe(io.BytesIO):
    def skip(self, size: int) -> bool:
        return len(self.read(size)) == size


def file(name: str, data: bytes) -> bytes:
    return header(name, len(data)) + data + padding(len(data))


def read(archive: bytes) -> dict[str, bytes]:
    """Every member and its bytes, read in small pieces."""
    reader = Tar(Pipe(archive))
    return {member.name: b"".join(iter(lambda: reader.read(100), b"")) for member in reader.members()}


def archive(*names: str) -> bytes:
    return b"".join(file(name, name.encode() * 3) for name in names) + END


def test_a_header_is_these_bytes() -> None:
    """Byte for byte, for ever: no clock, no user, no machine stands in it."""
    made = header("a/b.bin", 1025)
    assert len(made) == BLOCK
    assert made.rstrip(b"\0")[:148].startswith(b"a/b.bin\0")
    assert (
        made[100:157] == b"0000644\0" + b"0000000\0" * 2 + b"00000002001\0" + b"00000000000\0" + b"010331\0 0"
    )
    assert made[257:265] == b"ustar\x0000"
    assert not any(made[265:329])


def test_what_is_written_is_read() -> None:
    assert read(archive(*NAMES)) == {name: name.encode() * 3 for name in NAMES}


def test_python_s_tarfile_reads_it() -> None:
    with tarfile.open(fileobj=io.BytesIO(archive(*NAMES))) as opened:
        members = opened.getmembers()
        assert [member.name for member in members] == NAMES
        assert {
            (each.mode, each.mtime, each.uid, each.gid, each.uname, each.isreg()) for each in members
        } == {(0o644, 0, 0, 0, "", True)}
        for member in members:
            extracted = opened.extractfile(member)
            assert extracted is not None
            assert extracted.read() == member.name.encode() * 3


@pytest.mark.needs("tar")
def test_the_system_s_tar_reads_it(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(archive(*NAMES))
    subprocess.run(["tar", "-xf", "a.tar"], cwd=tmp_path, check=True, env={"LC_ALL": "C.UTF-8"})
    assert {name: (tmp_path / name).read_bytes() for name in NAMES} == {n: n.encode() * 3 for n in NAMES}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT])
def test_others_tars_of_plain_files_are_read(form: int) -> None:
    """Whatever owners, times and modes stand in them."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as opened:
        for name in NAMES[:2]:
            about = tarfile.TarInfo(name)
            about.size, about.mtime, about.uname, about.uid = 3, 1_700_000_000.5, "somebody", 1000
            opened.addfile(about, io.BytesIO(b"abc"))
    assert read(made.getvalue()) == dict.fromkeys(NAMES[:2], b"abc")


def test_a_size_beyond_ustar_s_stands_in_a_pax_header() -> None:
    for size in (tar.MAX_USTAR_SIZE, tar.MAX_USTAR_SIZE + 1, 1 << 60):
        member = next(Tar(Pipe(header("big", size) + b"x" * BLOCK)).members())
        assert (member.name, member.size) == ("big", size)
        assert (
            tarfile.TarInfo.fromtarfile(
                tarfile.open(fileobj=io.BytesIO(header("a", 0) + header("big", size) + END))  # noqa: SIM115
            ).size
            == size
        )


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=300))
def test_any_name_comes_back(name: str) -> None:
    assert read(file(name, b"x") + END) == {name: b"x"}


def made(
    kind: bytes, name: str = "a", link: str = "", size: int = 0, form: int = tarfile.PAX_FORMAT
) -> bytes:
    about = tarfile.TarInfo(name)
    about.type, about.linkname, about.size = kind, link, size
    return about.tobuf(form)  # type: ignore[arg-type]  # one of three numbers


def fixed(block: bytes, at: int, value: bytes) -> bytes:
    """A header with other bytes in it, and the checksum that belongs to them."""
    changed = bytearray(block)
    changed[at : at + len(value)] = value
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\0 " % sum(changed[:BLOCK])
    return bytes(changed)


def pax(*records: bytes) -> bytes:
    data = b"".join(records)
    return fixed(header("p", len(data)), 156, b"x") + data + padding(len(data))


A = header("a", 0)

REFUSED: list[tuple[str, bytes, str]] = [
    ("a hard link", made(tarfile.LNKTYPE, link="b"), "hard link"),
    ("a symbolic link", made(tarfile.SYMTYPE, link="/etc/passwd"), "symbolic link"),
    ("a character device", made(tarfile.CHRTYPE), "device"),
    ("a block device", made(tarfile.BLKTYPE), "device"),
    ("a pipe", made(tarfile.FIFOTYPE), "pipe"),
    ("a folder", made(tarfile.DIRTYPE), "folder"),
    ("a contiguous file", made(tarfile.CONTTYPE), "nobody has"),
    ("GNU's sparse file", made(tarfile.GNUTYPE_SPARSE, form=tarfile.GNU_FORMAT), "sparse"),
    ("GNU's long name", made(tarfile.REGTYPE, "n" * 200, form=tarfile.GNU_FORMAT), "GNU's own way"),
    ("GNU's long link", made(tarfile.SYMTYPE, "a", "n" * 200, form=tarfile.GNU_FORMAT), "GNU's own way"),
    ("GNU's format", made(tarfile.REGTYPE, form=tarfile.GNU_FORMAT), "--format=pax"),
    ("a kind nobody knows", fixed(A, 156, b"Z"), "no file"),
    ("a global header", fixed(header("g", 0), 156, b"g"), "global header"),
    ("an old tar", fixed(A, 257, bytes(8)), "no tar of POSIX"),
    ("a wrong checksum", A[:0] + b"b" + A[1:], "checksum"),
    ("a size in base 256", fixed(A, 124, b"\x80" + bytes(10) + b"\1"), "octal"),
    ("a size that is no number", fixed(A, 124, b"0000000009z\0"), "octal"),
    ("a negative size", fixed(A, 124, b"-0000000001\0"), "octal"),
    ("a name that is no UTF-8", fixed(A, 0, b"\xff\xfe"), "UTF-8"),
    ("one block of zeros", A + bytes(BLOCK) + A + END, "single block"),
    ("a second archive behind it", A + END + A + END, "behind its end"),
    ("junk behind it", A + END + bytes(9000) + b"x", "behind its end"),
    ("zeros without end", A + END + bytes(tar.MAX_PADDING_BYTES + BLOCK), "behind its end"),
    ("a giant pax header", fixed(header("p", tar.MAX_PAX_BYTES + 1), 156, b"x"), "are allowed"),
    ("a pax header of a terabyte", fixed(fixed(header("p", 0), 124, b"77777777777\0"), 156, b"x"), "are allowed"),
    ("a pax header before a pax header", pax(b"9 path=b\n") + pax(b"9 path=c\n") + A, "no file"),
    ("a pax header before the end", pax(b"9 path=b\n") + END, "no tar of POSIX"),
    ("a pax link", pax(b"14 linkpath=b\n") + A, "not taken"),
    ("a pax sparse map", pax(b"22 GNU.sparse.major=1\n") + A, "not taken"),
    ("a pax charset", pax(b"21 hdrcharset=BINARY\n") + A, "not taken"),
    ("a pax key twice", pax(b"9 path=b\n", b"9 path=c\n") + A, "not taken"),
    ("a NUL in a pax name", pax(b"11 path=b\0\n") + A, "not taken"),
    ("a pax name that is no UTF-8", pax(b"9 path=\xff\n") + A, "UTF-8"),
    ("a pax record too long", pax(b"99 path=b\n") + A, "cannot be read"),
    ("a pax record too short", pax(b"5 path=b\n") + A, "cannot be read"),
    ("a pax record without end", pax(b"9 path=bc") + A, "cannot be read"),
    ("a pax record without a number", pax(b"path=b\n") + A, "cannot be read"),
    ("a pax size that is negative", pax(b"11 size=-1\n") + A, "no number"),
    ("a pax size that no file has", pax(b"28 size=9223372036854775807\n") + A, "no file has"),
    ("a pax size of many digits", pax(b"39 size=111111111111111111111111111111\n") + A, "no number"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "said"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_everything_else_is_refused(data: bytes, said: str) -> None:
    """With a reason, and before a byte of such a member is given."""
    with pytest.raises(TarError, match=said):
        read(data + END)


@pytest.mark.parametrize("keep", [0, 1, 511, 512, 600, 1000, 1535, 1536, 1600, 2047, 2560, 3000])
def test_one_that_is_cut_off_says_so(keep: int) -> None:
    data = file("a", b"x" * 600) + file("b", b"y") + END
    assert len(data) > keep
    with pytest.raises(CutError):
        read(data[:keep])


@pytest.mark.parametrize(
    "skip", [Pipe.skip, lambda stream, size: stream.seek(size, 1) <= stream.getbuffer().nbytes]
)
def test_what_is_not_read_is_passed_over(skip: Callable[[Pipe, int], bool]) -> None:
    class Sought(Pipe):
        def skip(self, size: int) -> bool:
            return skip(self, size)

    reader = Tar(Sought(file("a", b"x" * 600) + file("b", b"1234567890") + END))
    members = reader.members()
    next(members)
    reader.read(5)
    assert next(members) == ("b", 10, 4 * BLOCK)
    reader.pass_over(7)
    assert reader.read(100) == b"890"
    assert list(members) == []


def test_padding_of_other_tools_is_no_matter() -> None:
    assert read(archive("a") + bytes(10240)) == {"a": b"aaa"}
