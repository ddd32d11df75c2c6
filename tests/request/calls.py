"""The functions that the tests add. They have importable names and write to one log."""

LOG: list[str] = []


async def note(text: str) -> None:
    LOG.append(f"ran {text}")


def note_sync(text: str) -> None:
    LOG.append(f"ran {text}")


async def note_object(thing: object) -> None:
    LOG.append("ran in memory")


async def fails(text: str) -> None:
    LOG.append(f"ran {text}")
    raise ValueError(text)


async def audit(text: str) -> None:
    LOG.append(f"ran {text}")
