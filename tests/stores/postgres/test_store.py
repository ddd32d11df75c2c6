"""The PostgreSQL store's idea of the server's time."""

from postlude.stores.postgres import PostgresStore


def test_the_time_does_not_jump_with_each_answer() -> None:
    """Else an attempt would end before it has started, when the second answer took longer."""
    store = PostgresStore("postgresql://nowhere/shop")
    offsets = []
    for least, most in ((-700, 300), (-20_000, 40), (-5, 9_000), (150, 900), (-50, 300), (299_000, 301_000)):
        store._set(least, most)
        offsets.append(store._offset)
    assert offsets == [0, 0, 0, 150, 150, 299_000]
