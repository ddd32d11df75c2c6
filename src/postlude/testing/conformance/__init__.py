"""The conformance suite: what `postlude.stores.protocol` promises, as tests for any store.

A store passes if a class of its test suite, derived from `StoreConformance` and given a `bench`
fixture, passes under pytest::

    from postlude.testing.conformance import StoreBench, StoreConformance

    class MyBench(StoreBench):
        def make(self, clock):
            return MyStore(clock=clock)

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def bench(self):
            return MyBench()

Call ``pytest.register_assert_rewrite("postlude.testing.conformance")`` in a conftest to see the
values of assertions that fail.
"""

from postlude.testing.conformance.asking import AskingCases, CancelledCases
from postlude.testing.conformance.bench import LEASE, Driver
from postlude.testing.conformance.choice import ChoiceCases
from postlude.testing.conformance.claims import ClaimCases
from postlude.testing.conformance.clocks import ClockCases
from postlude.testing.conformance.company import CompanyCases
from postlude.testing.conformance.concurrency_keys import ConcurrencyCases
from postlude.testing.conformance.crowds import CrowdCases
from postlude.testing.conformance.deaths import DeathCases
from postlude.testing.conformance.endings import EndingCases
from postlude.testing.conformance.failures import AuditCases, FailureCases
from postlude.testing.conformance.few import FewCases
from postlude.testing.conformance.finding import FindingCases
from postlude.testing.conformance.gaps import GapCases
from postlude.testing.conformance.history import CountedCases, HistoryCases
from postlude.testing.conformance.hosts import HostCases
from postlude.testing.conformance.hurting import StoreBench
from postlude.testing.conformance.intake import IntakeCases
from postlude.testing.conformance.keeping import KeepingCases
from postlude.testing.conformance.keys import KeyCases
from postlude.testing.conformance.leads import LeadCases, NestingCases
from postlude.testing.conformance.leaving import LeavingCases
from postlude.testing.conformance.limits import LimitCases
from postlude.testing.conformance.losing import LosingCases
from postlude.testing.conformance.marks import MarkCases
from postlude.testing.conformance.order import OrderCases
from postlude.testing.conformance.outgoing import PublishingCases
from postlude.testing.conformance.owners import OwnerCases
from postlude.testing.conformance.pausing import PausingCases
from postlude.testing.conformance.picking import PickingCases
from postlude.testing.conformance.queues import FreeSlotsCases, QueueCases
from postlude.testing.conformance.rates import QueueRateCases, RateCases
from postlude.testing.conformance.reading import ReadingCases
from postlude.testing.conformance.replacing import ReplacingCases
from postlude.testing.conformance.retrying import RetryingCases
from postlude.testing.conformance.schedule_sets import ScheduleSetCases
from postlude.testing.conformance.schedules import ScheduleCases
from postlude.testing.conformance.signals import SignalCases
from postlude.testing.conformance.telling import TellingCases
from postlude.testing.conformance.totals import TotalCases
from postlude.testing.conformance.upkeep import UpkeepCases

__all__ = ["LEASE", "Driver", "StoreBench", "StoreConformance"]


class StoreConformance(
    IntakeCases,
    KeyCases,
    ReplacingCases,
    OwnerCases,
    OrderCases,
    GapCases,
    CompanyCases,
    ClaimCases,
    ChoiceCases,
    PickingCases,
    PublishingCases,
    FewCases,
    ConcurrencyCases,
    LeavingCases,
    LeadCases,
    NestingCases,
    LimitCases,
    LosingCases,
    RateCases,
    ClockCases,
    QueueRateCases,
    QueueCases,
    FreeSlotsCases,
    PausingCases,
    EndingCases,
    AskingCases,
    CancelledCases,
    RetryingCases,
    KeepingCases,
    DeathCases,
    MarkCases,
    TellingCases,
    UpkeepCases,
    TotalCases,
    HistoryCases,
    CountedCases,
    FailureCases,
    AuditCases,
    FindingCases,
    ReadingCases,
    CrowdCases,
    SignalCases,
    ScheduleCases,
    ScheduleSetCases,
    HostCases,
):
    """Every case. Derive from it and give it a `bench` fixture that returns a `StoreBench`."""
