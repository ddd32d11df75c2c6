"""An application for real servers: jobs, and what Prometheus is told of them."""

from fastapi import BackgroundTasks, FastAPI

from postlude import Config, Postlude

app = FastAPI()
postlude = Postlude(app, packages=["tests"], config=Config(poll_every=0.05))
app.mount("/metrics", postlude.metrics())


async def on_the_loop() -> None: ...


def in_a_thread() -> None: ...


@app.post("/")
async def add(tasks: BackgroundTasks) -> None:
    tasks.add_task(on_the_loop)
    tasks.add_task(in_a_thread)
