"""Requests a second with the journal in PostgreSQL, beside FastAPI's own tasks and the floor."""

import tempfile
from pathlib import Path
from typing import Any, Final

import psycopg

from bench import web
from bench.postgres.server import MeasuredServer

VARIANTS: Final = ("native", "bare-postgres", "postlude-postgres")


def saturated(server: MeasuredServer, rounds: int, seconds: float) -> dict[str, Any]:
    """Requests a second and latencies at 32 connections, with new servers and empty tables in each round."""

    def fresh() -> None:
        with psycopg.connect(server.url, autocommit=True) as db:
            db.execute("DROP SCHEMA IF EXISTS postlude CASCADE; DROP TABLE IF EXISTS bare; CHECKPOINT")

    with tempfile.TemporaryDirectory() as folder:
        plan = web.Plan(VARIANTS, rounds, seconds, "asyncio", "h11", Path(folder), server.url, fresh)
        found = web.saturated(plan, "/async")
    ours, floors = (found[variant]["rounds"] for variant in ("postlude-postgres", "bare-postgres"))
    shares = [one["per_second"] / floor["per_second"] for one, floor in zip(ours, floors, strict=True)]
    found["postlude-postgres"]["to_floor"] = sorted(round(share, 3) for share in shares)
    return found
