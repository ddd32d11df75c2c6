"""Frames of libraries are folded."""

from postlude.dashboard.tracebacks import parts_of

TEXT = """Traceback (most recent call last):
  File "/srv/shop/mail.py", line 31, in send
    connect()
  File "/usr/lib/python3.11/site-packages/smtplib.py", line 7, in connect
    raise_it()
    ~~~~~~~~^^
  File "/usr/lib/python3.11/site-packages/smtplib.py", line 9, in raise_it
    raise Refused
  File "/srv/shop/own.py", line 3, in own
    x
ValueError: no"""


def test_parts() -> None:
    parts = parts_of(TEXT)
    assert [part.folded for part in parts] == [0, 2, 0]
    assert "\n".join(part.text for part in parts) == TEXT
    assert "smtplib" in parts[1].text
    assert "ValueError: no" in parts[2].text


def test_the_error_is_never_folded() -> None:
    *_, last = parts_of('  File "/lib/python3.11/site-packages/a.py", line 1, in a\n    x\nValueError: no')
    assert (last.folded, last.text) == (0, "ValueError: no")
