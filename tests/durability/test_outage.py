"""The power losses that the tests make up: everything that may happen does, and nothing else."""

from pathlib import Path
from random import Random

from tests.durability.outage import SECTOR, Disk
from tests.durability.platter import Entry, Event, Recording, Sync, Truncate, Write

OLD, NEW = b"o" * 3 * SECTOR, b"n" * 2 * SECTOR


def images(folder: Path, *events: Event) -> list[dict[str, bytes]]:
    """Return what may be left of a folder in which there was one file."""
    (folder / "journal.db").write_bytes(OLD)
    recording = Recording(folder)
    recording.order += events
    disk, rng = Disk(recording), Random(1)
    disk.advance(recording.place)
    return [disk.image(rng) for _ in range(500)]


def sectors(image: dict[str, bytes]) -> str:
    """Return what is in each sector: old, new, garbage."""
    content = image["journal.db"]
    pieces = [content[start : start + SECTOR] for start in range(0, len(content), SECTOR)]
    return "".join(chr(piece[0]) if len(set(piece)) == 1 else "?" for piece in pieces)


def test_a_write_may_be_there_or_not_or_in_part(tmp_path: Path) -> None:
    seen = {sectors(image) for image in images(tmp_path, Write(0, SECTOR, NEW))}
    assert seen == {"o" + one + other for one in "on?" for other in "on?"}


def test_a_later_write_may_be_there_without_an_earlier_one(tmp_path: Path) -> None:
    first, second = Write(0, 0, NEW[:SECTOR]), Write(0, 2 * SECTOR, NEW[:SECTOR])
    seen = {sectors(image) for image in images(tmp_path, first, second)}
    assert {"ooo", "noo", "oon", "non"} <= seen


def test_nothing_is_touched_beside_a_write_that_shares_its_sector(tmp_path: Path) -> None:
    for image in images(tmp_path, Write(0, 10, b"n" * 20)):
        assert image["journal.db"][:10] + image["journal.db"][30:] == OLD[20:]


def test_what_was_synced_is_certain(tmp_path: Path) -> None:
    events = Write(0, SECTOR, NEW), Sync(0), Write(0, 0, NEW[:SECTOR])
    assert {sectors(image) for image in images(tmp_path, *events)} == {"onn", "nnn", "?nn"}


def test_the_sync_of_one_file_says_nothing_of_another(tmp_path: Path) -> None:
    events = Entry("journal.db-wal", 1), Sync(None), Write(0, 0, NEW), Write(1, 0, NEW), Sync(1)
    seen = images(tmp_path, *events)
    assert {image["journal.db-wal"] for image in seen} == {NEW}
    assert {"ooo", "nno"} <= {sectors(image) for image in seen}


def test_a_file_may_be_longer_than_what_was_written_of_it(tmp_path: Path) -> None:
    seen = {sectors(image) for image in images(tmp_path, Write(0, 3 * SECTOR, NEW))}
    assert {"ooo", "ooonn", "ooon", "ooo\0\0", "ooo\0n", "ooo??"} <= seen


def test_a_cut_may_be_undone(tmp_path: Path) -> None:
    assert {sectors(image) for image in images(tmp_path, Truncate(0, SECTOR))} == {"o", "ooo"}
    assert {sectors(image) for image in images(tmp_path, Truncate(0, SECTOR), Sync(0))} == {"o"}


def test_a_name_is_certain_when_the_folder_is_synced_not_the_file(tmp_path: Path) -> None:
    made = Entry("journal.db-wal", 1), Write(1, 0, NEW), Sync(1)
    gone = Entry("journal.db-wal", None)
    assert {image.get("journal.db-wal") for image in images(tmp_path, *made)} == {None, NEW}
    assert {image.get("journal.db-wal") for image in images(tmp_path, *made, Sync(None))} == {NEW}
    assert {image.get("journal.db-wal") for image in images(tmp_path, *made, Sync(None), gone)} == {None, NEW}
    assert {image.get("journal.db-wal") for image in images(tmp_path, *made, gone, Sync(None))} == {None}
