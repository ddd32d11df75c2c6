"""An application with a journal, as a process of the pool imports it."""

from fastapi import FastAPI

from postlude import Postlude

app = FastAPI()
postlude = Postlude(app, store="sqlite:///must-not-be-opened.db")


@postlude.task
def double(number: int) -> int:
    return number * 2
