"""A JSON Schema and a model, held against each other."""

import json
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError

CALM = settings(
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def both(schema: Draft202012Validator, model: type[BaseModel], value: Any) -> bool:
    """What both say of a value; a difference fails."""
    by_schema = schema.is_valid(value)
    try:
        model.model_validate(value)
        by_model = True
    except ValidationError:
        by_model = False
    assert by_schema == by_model, (
        f"schema {by_schema}, model {by_model}: {json.dumps(value, ensure_ascii=False)[:2000]}"
    )
    return by_schema
