"""Power losses: journals used on a recorded disk, and what is found in what the losses leave."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Final
from unittest import mock

from postlude.clock import ManualClock
from postlude.model.outcome import SUCCEEDED, Finish
from postlude.model.state import FINAL
from postlude.stores.protocol import NewRunner
from postlude.stores.sqlite import SqliteStore, provenance, runners
from tests.durability.journal import read_rows
from tests.durability.ledger import Ledger, Losses, read
from tests.durability.outage import Disk
from tests.durability.platter import DATABASE, WAL, Entry, Recording, Sync, Truncate, recorded
from tests.durability.recorded_life import LEASE, PATIENCE, Life, tuned

GROUPS: Final = 60
IMAGES: Final = 200
"""How many groups a life writes, and how many times the power is lost in it."""

DRAINED: Final = 10
"""Every so many images are used on, until all of their jobs have ended."""

NAME: Final = "journal.db"


@contextmanager
def booted(boot: str) -> Iterator[None]:
    """Be after another boot, at the files that were there before it: what a test has written is no copy."""
    with (
        mock.patch.object(provenance, "_compared", return_value={}),
        mock.patch.object(runners, "boot_id", return_value=boot),
    ):
        yield


class PowerLosses:
    """One life after the other, each from what a power loss in the one before has left, or from nothing.

    Args:
        folder: where to work.
        seed: repeats a run.
        synchronous: what the journal is opened with.
        checkpointed: only what a checkpoint has covered is promised to outlive a power loss, as SQLite
            documents for `NORMAL`.
        lies: what the disk does not sync (see `Recording`).
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        *,
        synchronous: str = "FULL",
        checkpointed: bool = False,
        lies: Collection[str] = (),
    ) -> None:
        self._folder = folder
        self._seed = seed
        self._rng = Random(seed)
        self._clock = ManualClock()
        self._synchronous = synchronous
        self._checkpointed = checkpointed
        self._lies = lies
        self._images: set[bytes] = set()
        self._left: dict[str, bytes] = {}
        self.figures: Counter[str] = Counter()

    def __str__(self) -> str:
        figures = ", ".join(f"{count} {name}" for name, count in self.figures.items())
        return f"power losses: {figures}; seed {self._seed}"

    def lose(self, images: int) -> Iterator[Losses]:
        """Make so many images, and say of each what does not hold."""
        while images > 0:
            yield from self._life(min(images, IMAGES))
            images -= IMAGES

    def _life(self, images: int) -> Iterator[Losses]:
        rng = self._rng
        place = self._fresh("life", self._left if rng.random() < 0.7 else {})
        boot = f"life {self.figures['lives']}"
        with recorded(place, self._lies) as recording, tuned(self._synchronous), booted(boot):
            ledger = Life(place / NAME, recording, self._clock, rng).live(GROUPS)
        self._note(recording)
        disk = Disk(recording)
        keep = rng.randrange(images)
        for number, at in enumerate(sorted(_moments(recording, images, rng))):
            disk.advance(at)
            files = disk.image(rng)
            self.figures["with writes in doubt"] += disk.in_doubt
            losses = self._examine(files, ledger, recording, at)
            if number == keep and not losses.violated:
                self._left = files
            yield losses

    def _fresh(self, name: str, files: dict[str, bytes]) -> Path:
        folder = self._folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file, content in files.items():
            path = folder / file
            path.touch(0o600)
            path.write_bytes(content)
        return folder

    def _examine(self, files: dict[str, bytes], ledger: Ledger, recording: Recording, at: int) -> Losses:
        """Open an image as an application does, and look at what is in it."""
        confirmed = ledger.confirmed(at)
        last = max(confirmed, ledger.asked(at))  # one that has written nothing is confirmed when it is asked
        first = confirmed
        if self._checkpointed:
            first = ledger.confirmed(max(place for place in recording.wal_synced if place <= at))
        journal = self._fresh("image", files) / NAME
        losses = Losses()
        try:
            with closing(SqliteStore(journal, clock=self._clock)) as store:
                with booted("the next"):
                    store.open()
                losses.damage += read_rows(journal).damage
                found = read(journal)
                ledger.compare(found, first, last, losses)
                self.figures["lost as documented"] += ledger.lacks(found, first, confirmed)
                if self.figures["images"] % DRAINED == 0:
                    self._drain(store, journal, losses)
        except Exception as error:  # whatever it is, this journal could not be used
            losses.damage.append(f"{type(error).__name__}: {error}")
        self._count(files, len(ledger.jobs(first)), losses)
        return losses

    def _drain(self, store: SqliteStore, journal: Path, losses: Losses) -> None:
        """End all jobs."""
        before = read(journal).jobs
        runner = store.enlist(NewRunner("", LEASE)).wait(PATIENCE).runner
        store.reap().wait(PATIENCE)
        self._clock.advance(10.0)
        store.promote().wait(PATIENCE)
        while claims := store.claim(runner, 100, suspect=False).wait(PATIENCE).claims:
            now = self._clock.now()
            ends = [Finish(claim.seq, claim.fence, claim.task, now, now, SUCCEEDED) for claim in claims]
            assert all(store.finish(ends).wait(PATIENCE))
        store.retire(runner, draining=True).wait(PATIENCE)
        after = read(journal).jobs
        losses.stuck += [id.hex() for id in before if id not in after or after[id].state not in FINAL]
        losses.damage += read_rows(journal).damage
        self.figures["drained"] += 1

    def _note(self, recording: Recording) -> None:
        self.figures["lives"] += 1
        self.figures["operations"] += recording.place
        for event in recording.order:
            if isinstance(event, Sync) and event.file is not None:
                self.figures["checkpoints"] += recording.kinds[event.file] == DATABASE
            elif isinstance(event, Entry) and event.file is None:
                self.figures["clean ends"] += event.name.endswith(WAL)

    def _count(self, files: dict[str, bytes], confirmed: int, losses: Losses) -> None:
        digest = hashlib.blake2b()
        for name, content in sorted(files.items()):
            digest.update(name.encode() + content)
        self._images.add(digest.digest())
        self.figures["images"] += 1
        self.figures["different images"] = len(self._images)
        self.figures["acknowledged jobs looked for"] += confirmed
        for name, found in vars(losses).items():
            self.figures[name] += len(found)


def _moments(recording: Recording, count: int, rng: Random) -> list[int]:
    """Choose when the power is lost: at any time, and more often near what seldom happens."""
    seldom = [place for place, event in enumerate(recording.order) if isinstance(event, Entry | Truncate)]
    moments = []
    for _ in range(count):
        if rng.random() < 0.2:
            moments.append(min(recording.place, max(0, rng.choice(seldom) + rng.randint(-5, 15))))
        else:
            moments.append(rng.randint(0, recording.place))
    return moments
