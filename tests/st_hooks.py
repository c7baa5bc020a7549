"""What schemathesis has to be told about the service: how lines of JSON are written, and what good data is refused for."""

import json
from typing import Any

import schemathesis

# On the first day of 1900 the offset decides, which no pattern can tell.
_ARTICLE = {"too_early", "in_future", "title_not_found", "text_not_found", "page_too_complex"}
_BY_STATE = {
    "POST /v1/articles": _ARTICLE | {"source_not_found"},
    "POST /v1/similar": _ARTICLE,
    "GET /v1/articles": {"bad_cursor", "too_early"},
    "GET /v1/clusters": {"bad_cursor", "too_early"},
    "GET /v1/stories": {"bad_cursor", "too_early"},
    "GET /v1/audit": {"bad_cursor"},
    "GET /v1/changes": {"after_ahead"},
    # Not every word can be the name of a host (IDNA).
    "POST /v1/webhooks": {"after_ahead", "host_not_allowed", "bad_url"},
    "POST /v1/keys": {"in_past", "too_early"},
    "POST /v1/clusters/{cluster_id}/merge": {"same_group"},
    "POST /v1/clusters/{cluster_id}/split": {"not_inside", "is_copy", "leaves_nothing"},
    "POST /v1/stories/{story_id}/merge": {"same_group"},
    "POST /v1/stories/{story_id}/split": {"not_inside", "leaves_nothing"},
    "POST /v1/edits/{edit_id}/undo": {"undone_already"},
}
"""What good data may be answered 422 for: the clock, what is stored, or what a page turns out to hold."""


@schemathesis.serializer("application/x-ndjson")
def lines(_context: Any, value: Any) -> bytes:
    rows = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@schemathesis.check
def good_data_is_refused_for_what_no_schema_knows(_context: Any, response: Any, case: Any) -> None:
    if response.status_code != 422 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    problem = response.json()
    codes = {one["code"] for one in problem["errors"]} or {problem["code"]}
    assert codes <= _BY_STATE.get(case.operation.label, set()), problem
