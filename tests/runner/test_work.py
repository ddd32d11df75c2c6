"""How works are told of in the log."""

from postlude.runner.work import Work, counted


def works(count: int) -> list[Work]:
    return [Work(bytes([number]) * 16, f"t{number}", "default", b"", 1) for number in range(count)]


def test_few_are_all_named() -> None:
    two = works(2)
    assert counted(two) == f"2: {two[0]}, {two[1]}"


def test_of_many_the_first_ones() -> None:
    many = works(6)
    assert counted(many) == f"6 jobs, among them {', '.join(map(str, many[:5]))}"
