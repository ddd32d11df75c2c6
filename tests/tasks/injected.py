"""Functions with parameters that `Depends` fills, whose annotations are texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends

from postlude.tasks.inject.dependencies import injected as left

if TYPE_CHECKING:
    from somewhere import Absent  # type: ignore[import-not-found]


def get_number(of: Annotated[object, Depends(object)]) -> object:
    return of


def late(value: int, session: Session) -> None: ...


def nested(value: int, number: object = Depends(get_number)) -> None: ...


def hidden(value: int, session: Absent = Depends(object)) -> None: ...


def hidden_in_text(value: int, session: Annotated[Absent, Depends(object)]) -> None: ...


Session = Annotated[object, Depends(object)]


def without(session: object = left) -> None: ...
