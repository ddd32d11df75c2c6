"""Which starts are written, and how often."""

from postlude.stores.postgres.marks import PostgresMarks


def test_each_start_is_written_once() -> None:
    marks = PostgresMarks(7)
    marks.started(1, 3, 100)
    marks.started(2, 1, 200)
    assert not marks.is_due(after=60)
    assert marks.to_write(after=60) == []
    assert marks.is_due(after=0)
    rows = [(1, 3, 7, 100), (2, 1, 7, 200)]
    assert marks.to_write(after=0) == rows
    assert marks.to_write(after=0) == rows, "the group was undone"
    marks.written(rows[:1])
    assert marks.to_write(after=0) == rows[1:]
    marks.ended(2)
    marks.started(2, 2, 300)
    marks.written(rows)
    assert marks.to_write(after=0) == [(2, 2, 7, 300)], "it has been claimed again meanwhile"
    marks.written([(2, 2, 7, 300)])
    assert not marks.is_due(after=0)
    assert marks.to_write(after=0) == []


def test_what_has_ended_is_not_written() -> None:
    marks = PostgresMarks(7)
    marks.started(1, 3, 100)
    marks.ended(1)
    assert not marks.is_due(after=0)
    assert marks.to_write(after=0) == []
    assert marks.starts == {}
    assert marks.start_of(1, before=None) == 100, "its end may be on its way"
    assert marks.start_of(1, before=100) is None, "the journal has that one"
