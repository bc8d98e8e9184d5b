"""Schemathesis asks what the description allows, and what it does not: each reply is as it is described, none is a 500.

It reads OpenAPI by itself and knows nothing of how the endpoints are built. Its plugin of pytest is off
(pyproject.toml): it costs every worker a second.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from station.hmi.api.endpoints import BASE, ENDPOINTS, openapi
from tests.bench.pages import Pages
from tests.hmi.api.test_api import daemon, pages, secrets

schemathesis = pytest.importorskip("schemathesis", reason="not installed: pip install -e '.[dev]'")
__all__ = ["daemon", "pages", "secrets"]

SCHEMA = schemathesis.openapi.from_dict(openapi())
MODES = schemathesis.GenerationMode
THERE = {"session": "s1", "acquisition": 2, "camera": "top", "name": "day", "part_id": 1002, "number": 1}
"""Of random values none is on record."""
FREE_TEXT = {"since", "until", "shift", "before", "batch"}
"""Times and names of shifts as people write them: which of all texts are some, no schema says."""
BOUNDED = settings(
    max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.usefixtures("daemon")
@pytest.mark.parametrize(
    ("name", "mode"),
    [(each.name, "POSITIVE") for each in ENDPOINTS]
    + [(each.name, "NEGATIVE") for each in ENDPOINTS if each.parameters or each.takes],
)
@BOUNDED
@given(data=st.data())
def test_every_reply_is_as_it_is_described(
    data: st.DataObject, name: str, mode: str, pages: Pages, secrets: dict[str, str]
) -> None:
    (endpoint,) = [each for each in ENDPOINTS if each.name == name]
    operation = SCHEMA[endpoint.path][endpoint.method.upper()]
    case: Any = data.draw(operation.as_strategy(generation_mode=MODES[mode]))
    assume(all(value not in ([], {}) for value in (case.query or {}).values()))  # such a one is not sent at all
    if mode == "POSITIVE" and case.path_parameters:
        case.path_parameters |= {name: value for name, value in THERE.items() if name in case.path_parameters}
    has_free_text = bool(FREE_TEXT & {one.name for one in endpoint.parameters}) or name == "label"
    case.call_and_validate(
        base_url=f"{pages.address}{BASE}",
        headers={"Authorization": f"Bearer {secrets['all']}"},
        excluded_checks=[schemathesis.checks.positive_data_acceptance] if has_free_text else [],
    )
