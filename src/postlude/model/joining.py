"""A job as JSON: how it is written in a transaction of an application's own, and read from there."""

import base64
import json
from typing import Any, NamedTuple

from postlude.model.job import NewJob
from postlude.model.terms import Conflict, Given, Terms


class Joining(NamedTuple):
    """A job that joins a transaction of the application's."""

    job: NewJob
    chain: str | None = None
    """Names the jobs of one request of which each waits for the one before it; None: it waits for nobody."""

    def written(self) -> dict[str, Any]:
        """Return what JSON is made of. `settle`: a key, a limit or its place in a chain is to be seen to."""
        id, task, queue, payload, created, terms = self.job
        return {
            "id": id.hex(),
            "task": task,
            "queue": queue,
            "args": base64.b64encode(payload).decode(),
            "created": created,
            "due": terms.due,
            "priority": terms.priority,
            "once": terms.once,
            "request": None if terms.request is None else terms.request.hex(),
            "owner": terms.owner,
            "key": terms.key,
            "conflict": terms.conflict,
            "limit": terms.concurrency_key,
            "rated": terms.rated,
            "opts": terms.given.opts,
            "context": terms.given.context,
            "chain": self.chain,
            "settle": terms.key is not None or terms.concurrency_key is not None or self.chain is not None,
        }


def text_of(joinings: list[Joining]) -> str:
    """Return jobs as one text, in ASCII.

    Raises:
        ValueError: a text of one has a null character in it, which databases do not keep.
    """
    text = json.dumps([joining.written() for joining in joinings], separators=(",", ":"))
    if "\\u0000" in text:
        raise ValueError("the key, the owner or another text of the job has a null character in it")
    return text


def read(text: str) -> Joining:
    """Read one such job."""
    said = json.loads(text)
    chain, request = said["chain"], said["request"]
    terms = Terms(
        due=said["due"],
        priority=said["priority"],
        once=said["once"],
        follows=chain is not None,
        request=None if request is None else bytes.fromhex(request),
        owner=said["owner"],
        key=said["key"],
        conflict=Conflict(said["conflict"]),
        concurrency_key=said["limit"],
        rated=said["rated"],
        given=Given(said["opts"], said["context"]),
    )
    payload = base64.b64decode(said["args"])
    return Joining(
        NewJob(bytes.fromhex(said["id"]), said["task"], said["queue"], payload, said["created"], terms), chain
    )


def in_calls(joinings: list[Joining]) -> list[list[NewJob]]:
    """Return jobs as the calls by which a store adds them: each chain is one, each other job too."""
    calls: dict[str, list[NewJob]] = {}
    for joining in joinings:
        name = joining.chain or joining.job.id.hex()
        calls.setdefault(name, []).append(joining.job)
    return [_led(call) for call in calls.values()]


def _led(jobs: list[NewJob]) -> list[NewJob]:
    """Return jobs of one chain; the first of them waits for nobody, so nothing bounds that."""
    first = jobs[0]
    if not first.terms.follows:
        return jobs
    return [first._replace(terms=first.terms._replace(follows=False, due=None)), *jobs[1:]]
