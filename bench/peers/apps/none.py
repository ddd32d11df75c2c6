"""FastAPI without a job: the yardstick of requests."""

import itertools

from fastapi import FastAPI

numbers = itertools.count()


def application() -> FastAPI:
    """Return it."""
    app = FastAPI()

    @app.post("/add")
    async def add() -> dict[str, int]:
        return {"number": next(numbers)}

    return app
