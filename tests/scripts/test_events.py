"""The table of events: it says what the values say."""

from scripts.events import HEAD, PAGE, kinds, put_into, table


def test_the_page_has_the_table_that_the_values_give() -> None:
    assert table() in PAGE.read_text("utf-8"), "run `python scripts/events.py`"


def test_each_kind_is_a_row() -> None:
    rows = table().removeprefix(HEAD).splitlines()
    assert len(rows) == len(list(kinds())) > 30
    assert "| `JobOverran` |" in table()
    assert "| the job's, `seconds` |" in table()


def test_it_stands_where_the_one_before_stood() -> None:
    page = f"before\n\n{HEAD}| old | old | old |\n\nafter | this\n"
    assert put_into(page) == f"before\n\n{table()}\nafter | this\n"
    assert put_into(put_into(page)) == put_into(page)
    assert put_into(f"before\n\n{HEAD}\nafter\n") == f"before\n\n{table()}\nafter\n"
