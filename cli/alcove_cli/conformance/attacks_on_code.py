"""Attacks by the code itself: bundles that mean harm, and an image whose settings do."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable

from alcove_cli.conformance.catalogue import Attack, Case
from alcove_cli.conformance.checks import Check, ended, every, keeps_predictions, rejected, said

Members = dict[str, bytes]


def _member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for field, value in fields.items():
        setattr(member, field, value)
    return member, data


def _pack(files: dict[str, str], *more: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """The code, and members that no archiver would write."""
    packed = io.BytesIO()
    with tarfile.open(
        fileobj=packed, mode="w:gz", format=tarfile.GNU_FORMAT, errors="surrogateescape"
    ) as archive:
        for member, data in (*(_member(name, text.encode()) for name, text in files.items()), *more):
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def _adding(*more: tuple[tarfile.TarInfo, bytes]) -> Callable[[dict[str, str]], bytes]:
    return lambda files: _pack(files, *more)


def _bomb(_: dict[str, str]) -> bytes:
    """Two gigabytes of zeros, in nine megabytes."""
    head, _data = _member("model.py")
    head.size = 2 << 30
    packed = io.BytesIO()
    with gzip.open(packed, "wb", compresslevel=1) as output:
        output.write(head.tobuf(tarfile.USTAR_FORMAT))
        for _megabyte in range(2048):
            output.write(bytes(1 << 20))
    return packed.getvalue()


def _many(files: dict[str, str]) -> bytes:
    return _pack(files, *(_member(f"{number}") for number in range(100_000)))


def _cut(files: dict[str, str]) -> bytes:
    whole = _pack(files)
    return whole[: len(whole) // 2]


def _twins(files: dict[str, str]) -> bytes:
    """Names that some file systems take for one another, one that is no text, and a setuid program."""
    return _pack(
        files,
        _member("MODEL.py", b"upper"),
        _member("caf\N{LATIN SMALL LETTER E WITH ACUTE}", b"composed"),
        _member("cafe\N{COMBINING ACUTE ACCENT}", b"decomposed"),
        _member("bytes-\udcff", b"no text"),
        _member("setuid", b"#!/bin/sh", mode=0o6755),
    )


def _refused(name: str, attack: str, pack: Callable[[dict[str, str]], bytes], reason: str) -> Attack:
    case = Case(f"files/bundle-{name}", "bundles", attack, "refused", rejected(reason))
    return Attack("kit", (case,), pack=pack, name=f"bundle-{name}")


_UNREADABLE, _LARGE = "BundleUnreadable", "BundleTooLarge"
BUNDLES = (
    _refused("slip", "a bundle that leads out of its folder", _adding(_member("../x", b"x")), _UNREADABLE),
    _refused("absolute", "a bundle with an absolute path", _adding(_member("/tmp/x", b"x")), _UNREADABLE),
    _refused(
        "link", "a bundle with a symbolic link",
        _adding(_member("x", type=tarfile.SYMTYPE, linkname="/proc/1/environ")), _UNREADABLE,
    ),
    _refused(
        "hard-link", "a bundle with a hard link",
        _adding(_member("x", type=tarfile.LNKTYPE, linkname="/etc/passwd")), _UNREADABLE,
    ),
    _refused("device", "a bundle with a device", _adding(_member("x", type=tarfile.CHRTYPE)), _UNREADABLE),
    _refused("cut", "a bundle that is cut short", _cut, _UNREADABLE),
    _refused("bomb", "a bundle of 2 GB in 9 MB", _bomb, _LARGE),
    _refused("twice", "a bundle with a name that comes twice", _adding(_member("kit.py", b"x")), _UNREADABLE),
    _refused("many", "a bundle of 100,000 entries", _many, _LARGE),
)  # fmt: skip


def _harmless(name: str, attack: str, check: Check) -> Case:
    return Case(f"files/bundle-{name}", "bundles", attack, "harmless", check)


TWINS = Attack(
    "twins",
    (
        _harmless(
            "twins",
            "names that differ in case, or in how Unicode writes them",
            every(said("files/bundle-twins", "composed decomposed upper"), ended("Finished", "")),
        ),
        _harmless("bytes", "a name that is no text", said("files/bundle-bytes", "no text")),
        _harmless("setuid", "a setuid program in a bundle", said("files/bundle-setuid", "mode 0o555")),
    ),
    pack=_twins,
)


def _image(name: str, attack: str, *answers: str) -> Case:
    return Case(f"rights/image-{name}", "images", attack, "refused", said(f"rights/image-{name}", *answers))


ODD_IMAGE = Attack(
    "odd",
    (
        _image(
            "preload", "an image that preloads a library, to run it in the supervisor", "in its own alone"
        ),
        _image("volume", "an image with a VOLUME, to write where nothing is counted", "EACCES", "EROFS"),
        _image("gpus", "an image that asks for all GPUs", "void"),
        _image("folder", "an image with a WORKDIR of its own", "/tmp"),
        Case(
            "time/image-stop-signal",
            "images",
            "an image with a STOPSIGNAL that nothing obeys, and an ENTRYPOINT of its own, on to the budget",
            "ended at the budget",
            every(ended("DeadlineReached", "Participant"), keeps_predictions(1)),
            "the participant",
        ),
    ),
    own_image=True,
)
ATTACKS = (*BUNDLES, TWINS, ODD_IMAGE)
