"""The page on status routes shows jobs as they are told."""

import json
import re

from postlude.model.state import State
from scripts.samples import PAGE, put_into, samples


def test_the_page_has_what_is_told() -> None:
    page = PAGE.read_text("utf-8")
    assert put_into(page) == page, "run `make format`"


def test_there_is_a_sample_of_each_state() -> None:
    told = re.findall(r"^```json\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert {json.loads(sample)["state"] for sample in told} == {str(state) for state in State}
    assert {sample["state"] for sample in samples().values()} == {str(state) for state in State}
