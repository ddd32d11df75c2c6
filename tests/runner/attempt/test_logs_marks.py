"""Records say whose they are, and logging stays as it was."""

import io
import logging
import logging.config
import threading
from collections.abc import Callable
from typing import Any

import pytest

from postlude.runner.attempt.logs import LogKeeper
from tests.runner.logged import a_job, inside, keeping, messages, shop

pytestmark = pytest.mark.usefixtures("plain_logging")


class TestMarks:
    """`job_id`, `task` and `attempt` of records."""

    @pytest.mark.parametrize("keep", [True, False])
    def test_records_say_whose_they_are(self, keep: bool, written: io.StringIO) -> None:
        job = a_job()
        with keeping(keep=keep):
            inside(job, shop.info, "sent %d", 7)
            shop.info("outside")
        assert written.getvalue() == f"{job.id}|shop:send|2|sent 7\n||0|outside\n"

    def test_other_styles_and_loggers_that_do_not_propagate(self) -> None:
        private, text = logging.getLogger("tests.private"), io.StringIO()
        private.propagate = False
        private.setLevel(logging.INFO)
        for style, form in (("{", "{task} {attempt} {message}"), ("$", "$task $attempt $message")):
            handler = logging.StreamHandler(text)
            handler.setFormatter(logging.Formatter(form, style=style))  # type: ignore[arg-type]
            private.addHandler(handler)
        with keeping():
            inside(a_job(), private.info, "sent")
        assert text.getvalue() == "shop:send 2 sent\n" * 2

    @pytest.mark.parametrize("outside", [True, False])
    def test_what_a_program_calls_so_itself_goes_before(self, outside: bool, written: io.StringIO) -> None:
        """`extra=` may not overwrite attributes of records; that of a job's must not break who did."""
        extra = {"task": "own", "attempt": 9, "order": 1}
        with keeping():
            if outside:
                shop.info("sent", extra=extra)
            else:
                inside(a_job(), shop.info, "sent", extra=extra)
            with pytest.raises(KeyError):
                shop.info("sent", extra={"lineno": 1})
        assert written.getvalue().endswith("|own|9|sent\n")

    def test_records_are_made_by_the_factory_that_was_there(self, written: io.StringIO) -> None:
        class Louder(logging.LogRecord):
            def getMessage(self) -> str:
                return super().getMessage().upper()

        logging.setLogRecordFactory(Louder)
        with keeping():
            inside(a_job(), shop.info, "sent")
        assert logging.getLogRecordFactory() is Louder
        assert written.getvalue().endswith("SENT\n")

    def test_records_are_copied_and_pickled_as_others(self) -> None:
        with keeping():
            record = inside(a_job(), shop.makeRecord, "a", 20, "f", 1, "sent", (), None)
        copy = logging.makeLogRecord(record.__dict__)
        assert (copy.__dict__["task"], copy.getMessage()) == ("shop:send", "sent")
        assert dict(record.__dict__)["attempt"] == 2


class TestLeaving:
    """Logging is left as it was."""

    def test_start_and_stop_more_often_than_needed(self, bare: Callable[[], None]) -> None:
        bare()
        factory, root = logging.getLogRecordFactory(), logging.getLogger()
        keeper = LogKeeper(keep=True)
        keeper.stop()
        keeper.start()
        keeper.start()
        inside(a_job(), shop.info, "sent")
        assert len(root.handlers) == 1
        keeper.stop()
        keeper.stop()
        assert logging.getLogRecordFactory() is factory
        assert root.handlers == []
        keeper.start()
        job = a_job()
        inside(job, shop.info, "again")
        assert messages(job) == ["again"]
        keeper.stop()
        assert logging.getLogRecordFactory() is factory

    def test_the_last_of_several_leaves(self, bare: Callable[[], None]) -> None:
        bare()
        factory, job = logging.getLogRecordFactory(), a_job()
        one, other = LogKeeper(keep=True), LogKeeper(keep=True)
        one.start()
        other.start()
        inside(job, shop.info, "1")
        one.stop()
        inside(job, shop.info, "2")
        assert messages(job) == ["1", "2"]
        other.stop()
        inside(job, shop.info, "3")
        assert messages(job) == ["1", "2"]
        assert logging.getLogRecordFactory() is factory
        assert logging.getLogger().handlers == []

    def test_one_that_keeps_beside_one_that_does_not(self) -> None:
        job = a_job()
        with keeping(keep=False), keeping():
            inside(job, shop.info, "1")
        assert messages(job) == ["1"]

    def test_somebody_else_has_wrapped_the_factory_in_between(self, written: io.StringIO) -> None:
        original = logging.getLogRecordFactory()
        keeper = LogKeeper(keep=True)
        keeper.start()
        ours = logging.getLogRecordFactory()

        def theirs(*args: Any, **kwargs: Any) -> logging.LogRecord:
            return ours(*args, **kwargs)

        logging.setLogRecordFactory(theirs)
        keeper.stop()
        assert logging.getLogRecordFactory() is theirs
        assert not hasattr(shop.makeRecord("a", 20, "f", 1, "m", (), None), "task")

        job = a_job()
        keeper.start()
        inside(job, shop.info, "sent")
        keeper.stop()
        assert logging.getLogRecordFactory() is theirs
        assert messages(job) == ["sent"]

        logging.setLogRecordFactory(ours)  # they leave, and put back what they found
        keeper.start()
        keeper.stop()
        assert logging.getLogRecordFactory() is original

    def test_two_keepers_around_somebody_else_keep_a_line_once(self) -> None:
        job = a_job()
        with keeping():
            ours = logging.getLogRecordFactory()
            logging.setLogRecordFactory(lambda *args, **kwargs: ours(*args, **kwargs))
            with keeping():
                inside(job, shop.info, "sent")
        assert messages(job) == ["sent"]

    def test_from_many_threads(self, bare: Callable[[], None]) -> None:
        bare()
        factory = logging.getLogRecordFactory()

        def often() -> None:
            for _ in range(200):
                with keeping():
                    inside(a_job(), shop.info, "sent")

        threads = [threading.Thread(target=often) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert logging.getLogRecordFactory() is factory
        assert logging.getLogger().handlers == []

    def test_nothing_is_put_on_the_root_before_a_job_logs(self, bare: Callable[[], None]) -> None:
        bare()
        with keeping():
            shop.info("outside")
            assert logging.getLogger().handlers == []
            logging.basicConfig(stream=io.StringIO())
            assert len(logging.getLogger().handlers) == 1

    def test_lines_are_kept_after_logging_was_configured_anew(self) -> None:
        job = a_job()
        with keeping():
            inside(job, shop.info, "1")
            logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "root": {}})
            inside(job, shop.info, "2")
        assert messages(job) == ["1", "2"]


class TestNotNoticed:
    """The handler on the root logger changes nothing of what a program writes."""

    def test_warnings_of_a_program_that_has_configured_nothing(
        self, capsys: pytest.CaptureFixture[str], bare: Callable[[], None]
    ) -> None:
        bare()
        job = a_job()
        with keeping():
            inside(job, shop.info, "quiet")
            inside(job, shop.warning, "loud")
            shop.warning("outside")
            logging.getLogger("postlude.jobs").error("ours")
        assert capsys.readouterr().err == "loud\noutside\nours\n"
        assert messages(job) == ["quiet", "loud"]

    def test_not_twice_where_a_handler_is(
        self, capsys: pytest.CaptureFixture[str], written: io.StringIO, bare: Callable[[], None]
    ) -> None:
        bare()
        with keeping():
            inside(a_job(), shop.warning, "1")
            inside(a_job(), shop.getChild("desk").warning, "2")
            logging.getLogger().addHandler(logging.StreamHandler(written))
            inside(a_job(), logging.getLogger("other").warning, "3")
        assert capsys.readouterr().err == ""
        texts = [line.rpartition("|")[2] for line in written.getvalue().splitlines()]
        assert texts == ["1", "2", "3"]

    def test_not_at_all_where_a_program_wants_nothing(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, bare: Callable[[], None]
    ) -> None:
        bare()
        monkeypatch.setattr(logging, "lastResort", None)
        with keeping():
            inside(a_job(), shop.warning, "loud")
        assert capsys.readouterr().err == ""
