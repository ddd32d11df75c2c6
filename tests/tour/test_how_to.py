"""The pages on tasks, keys, tenants: each program does what the words below it say."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from starlette.testclient import TestClient

from postlude import Limit
from postlude.testing import PostludeJobs
from tests.tour.programs import Program, importer


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    return importer(tmp_path, monkeypatch)


class Mailbox:
    """Takes mails; one address is busy the first time, one does not exist."""

    def __init__(self) -> None:
        self.ids: list[tuple[str, str]] = []
        self.busy = True

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, to: str, ___: list[str]) -> str:
        if to.startswith("nobody"):
            return "550 no such mailbox"
        if to.startswith("slow") and self.busy:
            self.busy = False
            return "450 come back later"
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        text = envelope.content
        assert isinstance(text, bytes)
        (said,) = (line for line in text.decode().splitlines() if line.startswith("Message-ID: "))
        self.ids.append((envelope.rcpt_tos[0], said.removeprefix("Message-ID: ").strip()))
        return "250 taken"


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    monkeypatch.setattr(socket, "getfqdn", lambda name="": "localhost")  # smtplib would ask the DNS
    mailbox, loop = Mailbox(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def serve() -> asyncio.Server:
        return await loop.create_server(
            lambda: SMTP(mailbox, hostname="localhost", loop=loop), "127.0.0.1", 0
        )

    async def stop() -> None:
        server.close()
        await server.wait_closed()

    server = asyncio.run_coroutine_threadsafe(serve(), loop).result(10)
    monkeypatch.setenv("SMTP_HOST", f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    yield mailbox
    asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def test_a_mail_waits_for_its_server_and_not_for_an_address_that_does_not_exist(
    program: Program, mailbox: Mailbox
) -> None:
    page: Any = program("tasks", 0)
    with PostludeJobs() as kit, TestClient(page.app) as client:
        jobs = kit.of(page.postlude)
        for address in ("ada@example.org", "slow@example.org", "nobody@example.org"):
            assert client.post("/accounts", params={"address": address}).status_code == 200
        jobs.advance(minutes=20, schedules=False)
        ada, slow, nobody = jobs.added(page.send_mail)
    assert (ada.state, slow.state, nobody.state) == ("succeeded", "succeeded", "failed")
    assert (ada.failures, slow.failures, nobody.failures) == (0, 1, 1)
    assert "refused for good" in str(nobody.error)
    assert mailbox.ids == [
        ("ada@example.org", f"<{ada.id}@example.org>"),
        ("slow@example.org", f"<{slow.id}@example.org>"),
    ]


def test_progress_and_stopping(program: Program) -> None:
    page: Any = program("tasks", 1)
    Path("rows.txt").write_text("a\nb\nc\n")
    stored: list[str] = []

    def store_row(row: str) -> None:
        stored.append(row)
        if row == "b" and stop:
            assert client.post(stop[0]).status_code == 202

    page.store_row = store_row
    stop: list[str] = []
    with PostludeJobs() as kit, TestClient(page.app) as client:
        jobs = kit.of(page.postlude)
        one = client.post("/imports", params={"path": "rows.txt"}).json()
        jobs.drain()
        told = client.get(one["links"]["self"]).json()
        assert (told["result"], told["progress"]["current"], told["progress"]["message"]) == (3, 3, "rows")
        two = client.post("/imports", params={"path": "rows.txt"}).json()
        stop.append(two["links"]["cancel"])
        jobs.drain()
        assert client.get(two["links"]["self"]).json()["state"] == "cancelled"
    assert stored == ["a", "b", "c", "a", "b"]


@pytest.mark.process
def test_work_that_keeps_a_processor_busy(program: Program) -> None:
    page: Any = program("tasks", 2)
    with TestClient(page.app) as client:
        job = client.post("/primes", params={"most": 1000}).json()
        told = client.get(job["links"]["self"], headers={"Prefer": "wait=20"}).json()
    assert (told["state"], told["result"]) == ("succeeded", 168)


def test_once_when_several_start(program: Program, capsys: pytest.CaptureFixture[str]) -> None:
    page: Any = program("tasks", 3)
    with PostludeJobs() as kit, TestClient(page.app), TestClient(page.app):
        jobs = kit.of(page.postlude)
        assert jobs.count(page.warm_up) == 1
        jobs.drain()
    assert capsys.readouterr().out == "warm\n"


def test_keys_and_debounces(program: Program) -> None:
    page: Any = program("once", 0)
    with PostludeJobs() as kit, TestClient(page.app) as client:
        jobs = kit.of(page.postlude)
        for title in ("one", "two", "three"):
            assert client.put("/pages/7", params={"title": title}).status_code == 200
        assert client.post("/pages/7/publish").status_code == 202
        assert client.post("/pages/7/publish").status_code == 409
        assert client.post("/pages/8/publish").status_code == 202
        assert (jobs.count(page.index_page), jobs.count(page.publish)) == (1, 2)
        ((told,)) = jobs.added(page.tell_followers)
        assert {**told.kwargs} == {"page": 7, "title": "three"}
        jobs.drain()
        assert [job.id for job in jobs.waiting] == [told.id]
        assert client.post("/pages/7/publish").status_code == 202  # the key is free again
        jobs.advance(minutes=1, schedules=False)
        assert jobs.waiting == []


@pytest.mark.disk
def test_a_route_that_may_be_called_twice(program: Program) -> None:
    page: Any = program("once", 1)
    asked: list[tuple[int, str]] = []

    async def call_provider(amount: int, idempotency_key: str) -> str:
        asked.append((amount, idempotency_key))
        return f"{amount} charged"

    page.call_provider = call_provider
    with TestClient(page.app) as client:

        def pay(amount: int, key: str) -> Any:
            return client.post("/payments", params={"amount": amount}, headers={"Idempotency-Key": key})

        first = pay(5, "k1")
        assert first.status_code == 202
        with ThreadPoolExecutor(4) as pool:
            more = list(pool.map(lambda _: pay(5, "k1"), range(4)))
        assert {answer.json()["id"] for answer in more} == {first.json()["id"]}
        assert {answer.headers["location"] for answer in more} == {first.headers["location"]}
        assert pay(6, "k1").status_code == 422
        ended = client.get(first.headers["location"], headers={"Prefer": "wait=20"}).json()
        assert ended["result"] == "5 charged"
        other = pay(6, "k2").json()
        assert client.get(other["links"]["self"], headers={"Prefer": "wait=20"}).json()["done"]
    assert asked == [(5, first.json()["id"]), (6, other["id"])]


def test_never_a_second_time(program: Program) -> None:
    page: Any = program("once", 2)
    assert page.launch.policy.delivery == "at_most_once"


def test_one_tenant_does_not_hold_up_the_others(program: Program) -> None:
    page: Any = program("tenants", 0)
    with TestClient(page.app) as client:
        jobs = [
            client.post("/exports", params={"number": number}, headers={"X-Tenant": tenant}).json()
            for tenant, number in (("acme", 1), ("acme", 2), ("globex", 3))
        ]
        acme = {"X-Tenant": "acme"}
        told = [client.get(job["links"]["self"], headers=acme) for job in jobs]
        assert [answer.status_code for answer in told] == [200, 200, 404]
        assert told[0].json()["result"] == "export 1 of acme"
        mine = client.get(jobs[2]["links"]["self"], headers={"X-Tenant": "globex"}).json()
        assert mine["result"] == "export 3 of globex"
        assert client.get(jobs[0]["links"]["self"]).status_code == 422
    assert page.export.policy.limit == Limit(2, per="tenant")
