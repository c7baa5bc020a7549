"""Where the service is entered: which scope each route needs, and what the guard must know before the route is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from service.api.problems import problems

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.routing import BaseRoute

    from service.guard import BodyRule
    from service.keys import Scope

NEEDS: Mapping[str, Scope | None] = {
    "POST /v1/articles": "write",
    "POST /v1/articles/bulk": "write",
    "GET /v1/articles": "read",
    "GET /v1/articles/{article_id}": "read",
    "DELETE /v1/articles/{article_id}": "write",
    "GET /v1/articles/{article_id}/explanation": "read",
    "GET /v1/articles/{article_id}/similar": "read",
    "POST /v1/similar": "read",
    "GET /v1/clusters": "read",
    "GET /v1/clusters/{cluster_id}": "read",
    "GET /v1/clusters/{cluster_id}/history": "read",
    "POST /v1/clusters/{cluster_id}/merge": "write",
    "POST /v1/clusters/{cluster_id}/split": "write",
    "GET /v1/stories": "read",
    "GET /v1/stories/{story_id}": "read",
    "GET /v1/stories/{story_id}/timeline": "read",
    "GET /v1/stories/{story_id}/history": "read",
    "POST /v1/stories/{story_id}/merge": "write",
    "POST /v1/stories/{story_id}/split": "write",
    "POST /v1/edits/{edit_id}/undo": "write",
    "GET /v1/edits": "read",
    "POST /v1/reclusterings": "write",
    "GET /v1/reclusterings": "read",
    "GET /v1/reclusterings/{run_id}": "read",
    "GET /v1/changes": "read",
    "GET /v1/changes/stream": "read",
    "POST /v1/webhooks": "admin",
    "GET /v1/webhooks": "admin",
    "DELETE /v1/webhooks/{webhook_id}": "admin",
    "POST /v1/keys": "admin",
    "GET /v1/keys": "admin",
    "DELETE /v1/keys/{key_id}": "admin",
    "GET /v1/audit": "admin",
    "GET /v1/stats": "read",
    "GET /metrics": "read",
    # Health is asked by machines without keys; the pages say nothing of what is stored.
    "GET /livez": None,
    "GET /readyz": None,
    "GET /": None,
    "GET /docs": None,
    "GET /docs.css": None,
    "GET /openapi.json": None,
}
"""The scope of every route; None lets everybody in."""

SECURITY_SCHEME = "key"
_REFUSED = ("unauthenticated", "forbidden", "rate_limited")


@dataclass(frozen=True, slots=True)
class Entrance:
    """What is known of a request before its route is asked; `template` is None where there is no route."""

    template: str | None
    scope: Scope | None
    rule: BodyRule | None = None


class Entrances:
    """Finds the entrance of a request among the routes, as the router will."""

    def __init__(
        self,
        routes: Iterable[BaseRoute],
        rules: Mapping[str, BodyRule],
        needs: Mapping[str, Scope | None] = NEEDS,
    ) -> None:
        """Take the routes in the order in which they are asked.

        Raises:
            LookupError: a route has no scope: nobody said who may ask it.
        """
        self._routes: list[tuple[Route, dict[str, Entrance]]] = []
        for route in routes:
            assert isinstance(route, Route)
            by_method = {}
            for method in route.methods or ():
                name = f"{method} {route.path}"
                if name not in needs:
                    raise LookupError(f"{name} declares no scope: name it in NEEDS")
                by_method[method] = Entrance(route.path, needs[name], rules.get(name))
            self._routes.append((route, by_method))

    def find(self, method: str, path: str) -> Entrance:
        """Return the entrance; an address or a method that is not there needs a key, so that none tells what is."""
        template = None
        for route, by_method in self._routes:
            if route.path_regex.match(path) is None:
                continue
            if method in by_method:
                return by_method[method]
            template = template or route.path
        return Entrance(template, "read")


def document_scopes(document: dict[str, Any], needs: Mapping[str, Scope | None] = NEEDS) -> dict[str, Any]:
    """Say in an OpenAPI document which scope each operation needs, and how a key is shown."""
    document["components"]["securitySchemes"] = {
        SECURITY_SCHEME: {
            "type": "http",
            "scheme": "bearer",
            "description": "A key from `benang keys create`. Nobody needs one until the first was created.",
        }
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scope = needs[f"{method.upper()} {path}"]
            operation["security"] = [] if scope is None else [{SECURITY_SCHEME: [scope]}]
            if scope is not None:
                _add_refusals(operation["responses"])
    return document


def _add_refusals(responses: dict[str, Any], codes: Sequence[str] = _REFUSED) -> None:
    for status, answer in problems(*codes).items():
        known = responses.get(str(status))
        text = answer["description"]
        responses[str(status)] = {"description": f"{text} · {known['description']}" if known else text}
