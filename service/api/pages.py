"""Two small pages made from the OpenAPI document: no script, nothing from elsewhere."""

from collections.abc import Iterator
from html import escape
from typing import Any

STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { color: #b3202a; } h2 { margin-top: 2.5rem; } h3 { margin: 2rem 0 .25rem; font-size: 1rem; }
code, pre { font: 14px/1.5 ui-monospace, monospace; }
pre { overflow-x: auto; padding: 1rem; border: 1px solid #8886; border-radius: 6px; }
table { border-collapse: collapse; width: 100%; margin: .5rem 0; }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #8884; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 600; }
"""

_EXAMPLE = """curl -s http://127.0.0.1:8080/v1/articles -H 'Content-Type: application/json' -d '{
  "external_id": "first-1",
  "source": "kompas.com",
  "title": "Gempa Magnitudo 5,2 Guncang Kota",
  "text": "Gempa bermagnitudo 5,2 mengguncang kota, Rabu pagi. Warga keluar rumah."
}'"""


def front_page(document: dict[str, Any]) -> str:
    """Name every route, with a first command to try."""
    rows = "".join(
        f"<tr><td><span class='method'>{escape(method)}</span> <code>{escape(path)}</code></td>"
        f"<td>{escape(_sentence(operation))}</td></tr>"
        for path, method, operation in _operations(document)
    )
    return _page(
        "benang",
        f"<p>{escape(document['info']['description'])}</p><h2>Try it</h2><pre>{escape(_EXAMPLE)}</pre>"
        f"<h2>Routes</h2><table>{rows}</table>"
        "<p>In full: <a href='/docs'>/docs</a>, <a href='/openapi.json'>/openapi.json</a>.</p>",
    )


def docs_page(document: dict[str, Any]) -> str:
    """Show every route with its parameters, body and answers, and every model."""
    routes = "".join(_operation(path, method, operation) for path, method, operation in _operations(document))
    models = "".join(
        _model(name, schema) for name, schema in sorted(document["components"]["schemas"].items())
    )
    return _page("benang: API", f"<p><a href='/'>benang</a></p>{routes}<h2>Models</h2>{models}")


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method.upper(), operation


def _sentence(operation: dict[str, Any]) -> str:
    return str(operation.get("description", "")).split("\n", 1)[0]


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    parameters = [
        (f"{one['name']} ({one['in']})", _kind(one["schema"]), one.get("description", ""))
        for one in operation.get("parameters", [])
    ]
    body = [
        ("body", f"{media} {_kind(content['schema'])}", operation["requestBody"].get("description", ""))
        for media, content in operation.get("requestBody", {}).get("content", {}).items()
    ]
    answers = [
        (
            status,
            " ".join(_kind(content.get("schema", {})) for content in answer.get("content", {}).values()),
            answer["description"],
        )
        for status, answer in operation["responses"].items()
    ]
    return (
        f"<h3><span class='method'>{escape(method)}</span> <code>{escape(path)}</code></h3>"
        f"<p>{escape(operation.get('description', ''))}</p>{_scopes(operation)}{_table([*parameters, *body, *answers])}"
    )


def _scopes(operation: dict[str, Any]) -> str:
    """Say which scope a key needs here."""
    needed = [scope for scheme in operation["security"] for scopes in scheme.values() for scope in scopes]
    return f"<p>Scope: <code>{escape(', '.join(needed))}</code></p>" if needed else ""


def _model(name: str, schema: dict[str, Any]) -> str:
    needed = set(schema.get("required", []))
    rows = [
        (field, _kind(one) + ("" if field in needed else ", optional"), one.get("description", ""))
        for field, one in schema.get("properties", {}).items()
    ]
    return f"<h3 id='{escape(name)}'>{escape(name)}</h3><p>{escape(schema.get('description', ''))}</p>{_table(rows)}"


def _table(rows: list[tuple[str, str, str]]) -> str:
    if not rows:
        return ""
    body = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{escape(text)}</td></tr>"
        for name, kind, text in rows
    )
    return f"<table>{body}</table>"


def _kind(schema: dict[str, Any]) -> str:
    """Say in a few words what a schema takes."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema and "type" not in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "")


def _page(title: str, body: str) -> str:
    return (
        f"<!doctype html><html lang='en'><head><meta charset='utf-8'><title>{escape(title)}</title>"
        "<meta name='viewport' content='width=device-width'><link rel='stylesheet' href='/docs.css'></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>"
    )
