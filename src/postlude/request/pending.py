"""Whether a job still waits to be stored by the request that added it."""

from postlude.errors import WaitsForItself
from postlude.request.background import CURRENT, Collected
from postlude.request.receipt import Receipt


def unstored(id: bytes) -> bool:
    """Return whether the request that runs here may be about to store the job with this id.

    Raises:
        WaitsForItself: it has added the job, and stores it when it has succeeded.
    """
    receipt: Receipt | None = CURRENT.get()
    if receipt is None:
        return False
    for task in list(receipt.injected.tasks if receipt.injected is not None else ()):
        prepared = task.prepared if isinstance(task, Collected) and task.collector is receipt else None
        if prepared is not None and prepared.job.raw_id == id:
            raise WaitsForItself(
                f"job {prepared.job.id} is stored when its request has succeeded, and starts after the "
                "response: here it would wait for itself. Return its id and ask in another request, or use "
                "`await postlude.add_task(...)`, which stores at once."
            )
    return not receipt.answered and not receipt.over
