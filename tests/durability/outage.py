"""What a power loss may leave of files: what was synced, and of the rest any part.

A write that no sync has covered is there, or not, or in parts of 512 bytes, whatever was written
after it; so is a cut, and so is the making or the end of a name. Where a part is not, there is what
was there before, or garbage, but nowhere beside the bytes that were being written: SQLite relies on
that (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`), as all its users do.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from random import Random
from typing import Final

from tests.durability.platter import Entry, Event, Recording, Truncate, Write

SECTOR: Final = 512

Luck = Callable[[int, int], bool]
"""Whether a part reaches the disk: which operation it is of, and which part of them all it is."""


class Disk:
    """What is certain at one moment of a recording, and what is not. The moment moves forward only."""

    def __init__(self, recording: Recording) -> None:
        self._order = recording.order
        self._at = 0
        self._certain: defaultdict[int, bytearray] = defaultdict(bytearray)
        self._pending: defaultdict[int, list[Write | Truncate]] = defaultdict(list)
        self._names: dict[str, int | None] = {}
        self._renamed: list[Entry] = []
        for number, (name, content) in enumerate(recording.began.items()):
            self._names[name] = number
            self._certain[number] += content

    def advance(self, place: int) -> None:
        """Go on until so much has been asked."""
        for event in self._order[self._at : place]:
            self._take(event)
        self._at = place

    @property
    def in_doubt(self) -> bool:
        """Whether anything is uncertain."""
        return bool(self._renamed or self._pending)

    def _take(self, event: Event) -> None:
        if isinstance(event, Write | Truncate):
            self._pending[event.file].append(event)
        elif isinstance(event, Entry):
            self._renamed.append(event)
        elif event.file is not None:
            for done in self._pending.pop(event.file, ()):
                _do(self._certain[event.file], done)
        else:
            self._names.update({entry.name: entry.file for entry in self._renamed})
            self._renamed.clear()

    def image(self, rng: Random) -> dict[str, bytes]:
        """Return the files as the power loss leaves them, one way of many."""
        choices: defaultdict[str, list[int | None]] = defaultdict(list)
        for name, file in self._names.items():
            choices[name].append(file)
        for entry in self._renamed:
            choices[entry.name] = [*(choices[entry.name] or [None]), entry.file]
        chosen = {name: rng.choice(files) for name, files in choices.items()}
        return {name: self._content(file, rng) for name, file in chosen.items() if file is not None}

    def _content(self, file: int, rng: Random) -> bytes:
        content = bytearray(self._certain[file])
        pending = self._pending.get(file)
        if not pending:
            return bytes(content)
        luck = _luck(pending, rng)
        garbled = rng.choice((0.0, 0.0, 0.3))
        longest, part = 0, count()
        for number, event in enumerate(pending):
            if isinstance(event, Truncate):
                if luck(number, next(part)):
                    _do(content, event)
                    longest = event.size
                continue
            longest = max(longest, event.offset + len(event.data))
            for piece in _components(event):
                if luck(number, next(part)):
                    _do(content, piece)
                elif garbled and rng.random() < garbled:
                    _do(content, piece._replace(data=rng.randbytes(len(piece.data))))
        if len(content) < longest and rng.random() < 0.3:  # it has grown, but what it grew by is not there
            gap = longest - len(content)
            content += rng.choice((bytes(gap), rng.randbytes(gap)))
        return bytes(content)


def _luck(pending: Iterable[Write | Truncate], rng: Random) -> Luck:
    """Decide in which manner the unsynced writes of one file come about."""
    ends: list[int] = []
    for event in pending:
        components = 1 if isinstance(event, Truncate) else sum(1 for _ in _components(event))
        ends.append((ends[-1] if ends else 0) + components)
    one = rng.randrange(ends[-1])
    often = rng.choice((0.1, 0.5, 0.9))
    whole = [rng.random() < often for _ in ends]
    manners: tuple[Luck, ...] = (
        lambda number, part: False,
        lambda number, part: True,
        lambda number, part: part < one,  # in order, and the last one torn
        lambda number, part: part < one,
        lambda number, part: part >= one,  # the last first
        lambda number, part: part == one,
        lambda number, part: part != one,
        lambda number, part: whole[number],
        lambda number, part: whole[number],
        lambda number, part: rng.random() < often,
        lambda number, part: rng.random() < often,
    )
    return rng.choice(manners)


def _components(write: Write) -> Iterator[Write]:
    """Cut a write where the disk's sectors end."""
    start, end = write.offset, write.offset + len(write.data)
    while start < end:
        stop = min(end, (start // SECTOR + 1) * SECTOR)
        yield Write(write.file, start, write.data[start - write.offset : stop - write.offset])
        start = stop


def _do(content: bytearray, event: Write | Truncate) -> None:
    if isinstance(event, Truncate):
        del content[event.size :]
        content += bytes(event.size - len(content))
        return
    end = event.offset + len(event.data)
    if len(content) < end:
        content += bytes(end - len(content))
    content[event.offset : end] = event.data
