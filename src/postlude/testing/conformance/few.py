"""Tasks of which a claim takes only few, because more could not start where it is made."""

from postlude.model.job import Few, NewJob
from postlude.testing.conformance.bench import Cases, Driver

FULL, OTHER = "app:full", "app:other"


def ids(jobs: list[NewJob]) -> list[bytes]:
    return [job.id for job in jobs]


class FewCases(Cases):
    def test_of_some_tasks_only_few_are_taken(self, driver: Driver) -> None:
        full = [driver.new(FULL) for _ in range(4)]
        other = [driver.new(OTHER) for _ in range(2)]
        driver.add(*full, *other)
        claimed = driver.claimed(driver.enlist(), few=[Few({FULL, "app:unknown"}, 2)])
        assert [claim.id for claim in claimed.claims] == ids(full[:2] + other)
        assert claimed.passed == (0,)
        assert ids(full[2:]) == [claim.id for claim in driver.claim(driver.enlist())], (
            "they stay as they were"
        )

    def test_of_a_group_of_tasks_together(self, driver: Driver) -> None:
        jobs = [driver.new(name) for name in (FULL, OTHER, FULL, OTHER, "app:third")]
        driver.add(*jobs)
        claimed = driver.claimed(driver.enlist(), few=[Few({"app:third"}, 1), Few({FULL, OTHER}, 3)])
        assert [claim.id for claim in claimed.claims] == ids([*jobs[:3], jobs[4]])
        assert claimed.passed == (1,)

    def test_none_may_be_taken_of_one_and_some_of_another(self, driver: Driver) -> None:
        jobs = [driver.new(name) for name in (FULL, OTHER, OTHER, FULL, OTHER)]
        driver.add(*jobs)
        claimed = driver.claimed(driver.enlist(), few=[Few({FULL}, 0), Few({OTHER}, 2)])
        assert [claim.id for claim in claimed.claims] == ids(jobs[1:3])
        assert set(claimed.passed) == {0, 1}

    def test_they_do_not_count_for_the_limit(self, driver: Driver) -> None:
        full, other = [driver.new(FULL) for _ in range(5)], [driver.new(OTHER) for _ in range(3)]
        driver.add(*full, *other)
        for few in ([Few({FULL}, 0)], [Few({FULL}, 1)]):
            claimed = driver.claimed(driver.enlist(), 2, few=few)
            assert [claim.id for claim in claimed.claims][-1] in ids(other)
            assert len(claimed.claims) == 2

    def test_where_there_are_no_more_none_is_passed_over(self, driver: Driver) -> None:
        driver.add(driver.new(FULL), driver.new(FULL))
        claimed = driver.claimed(driver.enlist(), few=[Few({FULL}, 2)])
        assert (len(claimed.claims), claimed.passed) == (2, ())

    def test_in_all_queues(self, driver: Driver) -> None:
        driver.add(*(driver.new(FULL, queue=queue) for queue in "ababab"))
        assert len(driver.claimed(driver.enlist(), few=[Few({FULL}, 2)]).claims) == 2
