"""What tasks log is kept with the attempt, within caps."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextvars import copy_context

import pytest

from postlude.model.outcome import LogLine
from postlude.runner.attempt.logs import LONGEST, lines_of
from tests.runner.logged import a_job, inside, keeping, messages, shop

pytestmark = pytest.mark.usefixtures("plain_logging")


class TestKept:
    """What is kept, and how much."""

    def test_a_line(self) -> None:
        job = a_job()
        with keeping():
            record = inside(job, shop.makeRecord, "tests.shop", 30, "f", 1, "sent %d", (7,), None)
            inside(job, shop.handle, record)
        at = round(record.created * 1e6)
        assert lines_of(job) == (LogLine(at, logging.WARNING, "tests.shop", "sent 7"),)

    def test_levels_are_the_loggers_own(self) -> None:
        job = a_job()
        quiet = logging.getLogger("tests.private")
        with keeping():
            for level in (logging.DEBUG, logging.INFO, logging.WARNING):
                inside(job, shop.log, level, f"shop {level}")
                inside(job, quiet.log, level, f"quiet {level}")
        assert messages(job) == ["shop 20", "shop 30", "quiet 30"]

    def test_a_lower_level_may_be_asked_for(self) -> None:
        job = a_job()
        with keeping(level=logging.DEBUG):
            inside(job, shop.debug, "detail")
        assert messages(job) == ["detail"]

    def test_what_a_filter_drops_or_changes(self) -> None:
        def discreet(record: logging.LogRecord) -> bool:
            record.msg = str(record.msg).replace("secret", "***")
            return "drop" not in record.msg

        shop.addFilter(discreet)
        job = a_job()
        with keeping():
            inside(job, shop.info, "drop this")
            inside(job, shop.info, "the secret")
        assert messages(job) == ["the ***"]

    def test_ours_are_about_jobs_and_not_of_them(self) -> None:
        job = a_job()
        with keeping():
            for name in ("postlude", "postlude.jobs", "postludes", "shop.postlude"):
                inside(job, logging.getLogger(name).warning, "%s", name)
        assert messages(job) == ["postludes", "shop.postlude"]

    def test_each_attempt_has_its_own(self) -> None:
        one, other = a_job(), a_job()
        with keeping():
            inside(one, shop.info, "one")
            inside(other, shop.info, "other")
            shop.info("nobody's")
        assert (messages(one), messages(other)) == (["one"], ["other"])

    def test_a_job_that_logs_nothing_has_no_list(self) -> None:
        job = a_job()
        with keeping():
            pass
        assert job.lines is None
        assert lines_of(job) == ()

    def test_tasks_and_threads_that_a_job_starts(self) -> None:
        job = a_job()

        async def work() -> None:
            shop.info("task")
            await asyncio.gather(asyncio.create_task(say("child")), asyncio.to_thread(shop.info, "thread"))

        async def say(text: str) -> None:
            shop.info(text)

        def threads() -> None:
            thread = threading.Thread(target=copy_context().run, args=(shop.info, "own thread"))
            thread.start()
            thread.join()

        with keeping():
            inside(job, asyncio.run, work())
            inside(job, threads)
        assert sorted(messages(job)) == ["child", "own thread", "task", "thread"]

    @pytest.mark.parametrize("left", [1, 2, 50])
    def test_the_first_lines_and_how_many_are_left_out(self, left: int) -> None:
        job = a_job()
        with keeping(max_lines=3):
            for number in range(3 + left):
                inside(job, shop.info, number)
        *first, last = messages(job)
        assert first == ["0", "1", "2"]
        assert last == ("1 more line is left out" if left == 1 else f"{left} more lines are left out")

    def test_characters_have_a_cap_too(self) -> None:
        job = a_job()
        with keeping(max_chars=10):
            for text in ("12345", "123456", "1"):
                inside(job, shop.info, text)
        assert messages(job) == ["12345", "2 more lines are left out"]

    def test_what_is_left_out_is_not_formatted(self, bare: Callable[[], None]) -> None:
        bare()
        formatted: list[int] = []

        class Costly:
            def __str__(self) -> str:
                formatted.append(1)
                return "text"

        job = a_job()
        with keeping(max_lines=1):
            for _ in range(5):
                inside(job, shop.info, "%s", Costly())
        assert messages(job) == ["text", "4 more lines are left out"]
        assert len(formatted) == 2  # the second found the cap

    def test_caps_hold_while_threads_log_at_once(self) -> None:
        job = a_job()

        def often() -> None:
            for _ in range(500):
                shop.info("x")

        with keeping(max_lines=700):
            threads = [threading.Thread(target=inside, args=(job, often)) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        lines = messages(job)
        assert (len(lines), lines[-1]) == (701, "1300 more lines are left out")


class TestMessages:
    """What is kept of a message."""

    @pytest.mark.parametrize(
        ("raw", "kept"),
        [
            ("two\nlines", "two\nlines"),
            ("a\tb", "a b"),
            ("\x1b[31mred\x1b[0m", "red"),
            ("bell\x07 nul\x00 del\x7f cr\r\n", "bell nul del cr\n"),
            ("turned \u202e round", "turned  round"),
            ("half \ud83d", "half "),
            ("naïve ☃ 🎄", "naïve ☃ 🎄"),
            ("", ""),
        ],
        ids=range(8),
    )
    def test_control_characters(self, raw: str, kept: str, bare: Callable[[], None]) -> None:
        bare()  # pytest-xdist fails on reports that quote a lone surrogate
        job = a_job()
        with keeping():
            inside(job, shop.info, "%s", raw)
        (message,) = messages(job)
        assert message == kept
        message.encode()

    @pytest.mark.parametrize("size", [LONGEST - 1, LONGEST, LONGEST + 1, 1_000_000])
    def test_a_long_one(self, size: int) -> None:
        job = a_job()
        with keeping():
            inside(job, shop.info, "a" * (size - 1) + "z")
        (message,) = messages(job)
        assert len(message) <= LONGEST
        assert message.endswith("z")
        assert ("left out" in message) is (size > LONGEST)

    def test_an_exception(self) -> None:
        def breaks() -> None:
            try:
                raise ValueError("no paper")
            except ValueError:
                shop.exception("printing failed")

        job = a_job()
        with keeping():
            inside(job, breaks)
        (message,) = messages(job)
        assert message.startswith("printing failed\nTraceback")
        assert message.endswith("ValueError: no paper")

    def test_an_exception_without_one(self) -> None:
        job = a_job()
        with keeping():
            inside(job, shop.exception, "nothing was raised")
        assert messages(job) == ["nothing was raised"]

    def test_no_trace_is_left_in_the_record(self, bare: Callable[[], None]) -> None:
        bare()
        seen: list[logging.LogRecord] = []

        def breaks() -> None:
            try:
                raise ValueError("no paper")
            except ValueError:
                shop.exception("printing failed")

        class Later(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                seen.append(record)

        with keeping():
            inside(a_job(), shop.info, "the handler is there")
            logging.getLogger().addHandler(Later())
            inside(a_job(), breaks)
        assert seen[0].exc_text is None

    def test_arguments_that_do_not_fit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(logging, "raiseExceptions", False)

        class Hostile:
            def __str__(self) -> str:
                raise RuntimeError("not printable")

        job = a_job()
        with keeping():
            inside(job, shop.info, "%d sent", "seven")
            inside(job, shop.info, "to %s", Hostile())
            inside(job, shop.info, Hostile())
        assert messages(job) == [
            "%d sent (its arguments do not fit: TypeError)",
            "to %s (its arguments do not fit: RuntimeError)",
            "Hostile (its arguments do not fit: RuntimeError)",
        ]

    def test_a_message_that_logs_itself(self, bare: Callable[[], None]) -> None:
        bare()

        class Talks:
            def __str__(self) -> str:
                shop.info("asked")
                return "told"

        job = a_job()
        with keeping():
            inside(job, shop.info, "%s", Talks())
        assert messages(job) == ["asked", "told"]
