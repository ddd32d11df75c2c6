"""Owners: whose a job is, and whose each call is that it stands for."""

from postlude.model.job import JobFilter
from postlude.model.outcome import SUCCEEDED
from postlude.model.terms import Conflict
from postlude.testing.conformance.bench import PATIENCE, Cases, Driver


class OwnerCases(Cases):
    def test_a_job_is_its_calls_owners(self, driver: Driver) -> None:
        adas, nobodys = driver.new(owner="ada"), driver.new()
        driver.add(adas, nobodys)
        assert owners(driver, adas) == ("ada", "ada")
        assert owners(driver, nobodys) == (None, None)
        page = driver.store.page(JobFilter()).wait(PATIENCE)
        assert [(record.owner, record.call_owner) for record in page] == [(None, None), ("ada", "ada")]

    def test_a_call_that_joins_a_job_keeps_its_own(self, driver: Driver) -> None:
        adas = driver.new(key="k", owner="ada")
        driver.add(adas)
        bobs, nobodys = driver.new(key="k", owner="bob"), driver.new(key="k")
        driver.add(bobs)
        driver.add(nobodys)
        assert [owners(driver, call) for call in (adas, bobs, nobodys)] == [
            ("ada", "ada"), ("ada", "bob"), ("ada", None),
        ]  # fmt: skip
        assert driver.finish(driver.claim_one(driver.enlist()), SUCCEEDED)
        driver.reopen()
        assert owners(driver, bobs) == ("ada", "bob"), "also when the job has ended"

    def test_a_call_that_is_replaced_keeps_its_own(self, driver: Driver) -> None:
        calls = [
            driver.new(key="k", owner=owner, conflict=Conflict.REPLACE) for owner in ("ada", "bob", None)
        ]
        for call, last in zip(calls, ("ada", "bob", None), strict=True):
            driver.add(call)
            assert owners(driver, call) == (last, last)
        assert [owners(driver, call) for call in calls] == [(None, "ada"), (None, "bob"), (None, None)]

    def test_so_do_calls_of_one_add(self, driver: Driver) -> None:
        joined = [driver.new(key="j", owner=owner) for owner in ("ada", "bob")]
        replaced = [driver.new(key="r", owner=owner, conflict=Conflict.REPLACE) for owner in ("ada", "bob")]
        driver.add(*joined, *replaced)
        assert [owners(driver, call) for call in joined] == [("ada", "ada"), ("ada", "bob")]
        assert [owners(driver, call) for call in replaced] == [("bob", "ada"), ("bob", "bob")]


def owners(driver: Driver, call: object) -> tuple[str | None, str | None]:
    """Return whose the job is that stands for a call, and whose the call is."""
    record = driver.record(call)  # type: ignore[arg-type]
    return record.owner, record.call_owner
