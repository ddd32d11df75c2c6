"""When running jobs have started, by the files of their runners."""

from pathlib import Path

from postlude.stores.sqlite.locks.marks import LeftMarks, look_at, marks_path


class Starts:
    """What the runners' files of start marks tell of running jobs; the journal hears it at their end.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[object, tuple[bool, LeftMarks]] = {}

    def lives(self, token: object) -> bool:
        """Say whether the runner of a file is alive."""
        return self._look(token)[0]

    def start_of(self, seq: int, token: object, before: int | None) -> int | None:
        """Return when a job started that the runner of a file runs; None: it has not yet.

        Args:
            seq: the job.
            token: names the file.
            before: when the attempt had started whose end the journal knows.
        """
        marks = self._look(token)[1]
        if running := marks.starts(seq):
            return running[0]
        last = max((start for start in marks.starts(-seq) if start is not None), default=None)
        return None if last == before else last  # if it is another one, its end is about to be written

    def _look(self, token: object) -> tuple[bool, LeftMarks]:
        if token not in self._known:
            self._known[token] = look_at(marks_path(self._folder, token))
        return self._known[token]
