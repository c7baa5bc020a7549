"""Errors: one shape, constant sentences, nothing of the input."""

import json

import pytest

from service import errors
from service.api.problems import ProblemResponse
from service.errors import (
    BASE,
    PROBLEMS,
    FieldError,
    Gone,
    NotReady,
    Refused,
    code_of,
    errors_of,
    field_errors,
    problem,
)


def test_problem_has_the_fields_of_the_contract() -> None:
    found = problem(
        "invalid", instance="/v1/articles", request_id="r", errors=[FieldError.of("/title", "blank")]
    )

    assert {
        "type": BASE + "invalid",
        "title": "Invalid",
        "status": 422,
        "detail": PROBLEMS["invalid"].detail,
        "instance": "/v1/articles",
        "request_id": "r",
        "code": "invalid",
        "errors": [{"pointer": "/title", "code": "blank", "message": errors.FIELD_MESSAGES["blank"]}],
    } == found


def test_problem_is_bounded_and_ascii() -> None:
    """However hostile path and pointers are, the answer stays small and plain."""
    many = [FieldError.of("/é\n\u202e" * 500, "blank")] * 500
    found = problem("invalid", instance="/\u202e<script>" * 500, request_id="r", errors=many)

    assert len(found["errors"]) == 20
    assert len(found["errors"][0]["pointer"]) <= 200
    assert len(found["instance"]) <= 200
    assert found["errors"][0]["pointer"].isascii()
    assert found["errors"][0]["pointer"].isprintable()
    assert found["instance"].isascii()
    assert "<" not in found["instance"]
    assert len(json.dumps(found)) < 8_000


def test_every_error_of_the_tree_has_a_problem() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.BenangError)
    ]

    assert len(kinds) >= 9
    for kind in kinds:
        assert kind.code in PROBLEMS
    assert set(errors.RETRY_AFTER_S) <= set(PROBLEMS)


@pytest.mark.parametrize("code", PROBLEMS)
def test_every_problem_can_be_answered(code: str) -> None:
    """Status, type and `Retry-After` follow from the code alone."""
    answer = ProblemResponse(code, instance="/x", request_id="r")

    assert PROBLEMS[code].status == answer.status_code
    assert answer.headers["content-type"] == "application/problem+json"
    assert (code in errors.RETRY_AFTER_S) == ("retry-after" in answer.headers)
    assert (answer.status_code in {429, 503, 507}) == ("retry-after" in answer.headers)


def test_codes_and_fields_of_errors() -> None:
    assert code_of(NotReady("writer_alive")) == "not_ready"
    assert [error.code for error in errors_of(NotReady("writer_alive"))] == ["writer_alive"]
    assert code_of(Gone()) == "gone"
    refused = Refused("invalid", [FieldError.of("/a", "nul")])
    assert (code_of(refused), errors_of(refused)[0].pointer) == ("invalid", "/a")
    assert errors_of(refused)[0].under("/3").pointer == "/3/a"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"type": "missing", "loc": ("body", "a")}, ("/a", "missing")),
        ({"type": "extra_forbidden", "loc": ("body", "a/b~c")}, ("/a~1b~0c", "unknown_field")),
        ({"type": "string_type", "loc": ("query", "q")}, ("/query/q", "wrong_type")),
        ({"type": "something_new", "loc": ("body", 3, "a")}, ("/3/a", "invalid")),
        ({"type": "nul", "loc": ("body", "metadata", "k", "[key]")}, ("/metadata/k", "nul")),
        ({"type": "no_identity", "loc": ("body",), "ctx": {"field": "url"}}, ("/url", "no_identity")),
        ({"type": "missing", "loc": ()}, ("", "missing")),
    ],
)
def test_pydantic_errors_become_places_and_rules(error: dict[str, object], expected: tuple[str, str]) -> None:
    (found,) = field_errors([error | {"input": "rahasia", "msg": "rahasia"}])

    assert expected == (found.pointer, found.code)
    assert "rahasia" not in found.message


def test_limits_are_named_in_the_message() -> None:
    (found,) = field_errors(
        [{"type": "string_too_long", "loc": ("body", "title"), "ctx": {"max_length": 500}}]
    )

    assert found.message == "At most 500 are allowed."


def test_bulk_pointers_start_at_the_item() -> None:
    """A field called `body` in an item is a field, not the place of a request."""
    (found,) = field_errors([{"type": "extra_forbidden", "loc": ("body",)}], "/3")

    assert found.pointer == "/3/body"
