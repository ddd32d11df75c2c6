"""Whether two values are the same, type and value: a second opinion, not the codec's own comparison."""

import math
from typing import Any

from pydantic import BaseModel

from tests.tasks import sample


def fingerprint(value: Any) -> Any:
    """Describe a value down to its last type; the same values have equal descriptions."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else (value.hex(), type(value))
    if isinstance(value, BaseModel):
        fields = {name: fingerprint(part) for name, part in value.__dict__.items()}
        return type(value), fields, frozenset(value.model_fields_set)
    if isinstance(value, sample.Tree):
        return sample.Tree, value.value, fingerprint(value.children)
    if isinstance(value, dict):
        return type(value), {repr(fingerprint(k)): fingerprint(v) for k, v in value.items()}
    if isinstance(value, (set, frozenset)):
        return type(value), value
    if isinstance(value, (list, tuple)):
        return type(value), [fingerprint(part) for part in value]
    return type(value), str(value)
