"""The API's description as one page for people: plain HTML, complete in itself. Knows the document, not the API."""

import html
from collections.abc import Iterable, Mapping
from typing import Any, Final

PATH: Final = "/docs"
HEADERS: Final = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "X-Frame-Options": "DENY"}
Schema = Mapping[str, Any]

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --ink: #667; --GET: #2a7ab0; --POST: #2e8b57;
  --PUT: #b7791f; --DELETE: #c0392b; }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; display: grid; grid-template-columns: 15rem minmax(0, 1fr); }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1.5rem 1rem;
  border-right: 1px solid var(--line); }
nav a { display: block; padding: .15rem .5rem; color: inherit; text-decoration: none; border-radius: .3rem; }
nav a:hover { background: var(--soft); }
main { padding: 1.5rem 2rem 6rem; max-width: 70rem; }
h2 { margin: 2.5rem 0 .6rem; border-bottom: 1px solid var(--line); }
h4 { margin: 1rem 0 .3rem; }
code { font: 13px/1.5 ui-monospace, monospace; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .4rem 0; }
details[open] { background: var(--soft); }
summary { cursor: pointer; padding: .4rem .7rem; }
details > div { padding: 0 1rem 1rem; }
.verb { display: inline-block; min-width: 4.2rem; color: #fff; text-align: center; border-radius: .25rem;
  font-weight: 600; font-size: 12px; margin-right: .6rem; }
.note { color: var(--ink); float: right; font-size: 13px; }
.badge { border: 1px solid; border-radius: .25rem; padding: 0 .3rem; color: var(--PUT); }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid var(--line); }
td:first-child { white-space: nowrap; }
@media (max-width: 50rem) { body { display: block; } nav { position: static; height: auto; } }
"""


def page(document: Schema) -> str:
    info, tags = document["info"], [tag["name"] for tag in document["tags"]]
    by_tag: dict[str, list[str]] = {tag: [] for tag in tags}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag[operation["tags"][0]].append(
                _operation(path, method.upper(), operation, document["components"]["responses"])
            )
    sections = "".join(f"<h2 id={_quoted(_slug(tag))}>{_text(tag)}</h2>{''.join(by_tag[tag])}" for tag in tags)
    schemas = document["components"]["schemas"]
    objects = "".join(_object(name, schema) for name, schema in schemas.items())
    links = "".join(f"<a href={_quoted('#' + _slug(tag))}>{_text(tag)}</a>" for tag in [*tags, "Objects"])
    title = f"{_text(info['title'])} <small>Hydria {_text(info['version'])}</small>"
    about = _text(info["description"]).replace("`", "")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f'<nav><strong>{_text(info["title"])}</strong>{links}<p><a href="openapi.json">openapi.json</a></p></nav>'
        f"<main><h1>{title}</h1><p>{about}</p>{sections}"
        f'<h2 id="objects">Objects</h2>{objects}</main></body></html>'
    )


def _operation(path: str, method: str, operation: Schema, refusals: Schema) -> str:
    note = '<span class="badge">extension</span>' if operation.get("x-extension") else _text(operation["x-since"])
    parts = [_table("Parameters", map(_parameter, operation.get("parameters", ())))]
    if "requestBody" in operation:
        parts.append(f"<h4>Body</h4>{_body(operation['requestBody']['content'])}")
    answers = ((status, refusals.get(status, answer)) for status, answer in operation["responses"].items())
    parts.append(_table("Answers", (_answer(status, answer) for status, answer in answers)))
    verb = f'<span class="verb" style="background:var(--{method})">{method}</span><code>{_text(path)}</code>'
    summary = f'{verb} <span class="note">{note}</span><br>{_text(operation["summary"])}'
    return _folded(operation["operationId"], summary, "".join(parts))


def _object(name: str, schema: Schema) -> str:
    required = schema.get("required", ())
    rows = (
        [f"<code>{_text(field)}</code>{' *' if field in required else ''}", _type(value), _remarks(value)]
        for field, value in schema.get("properties", {}).items()
    )
    about = f"<p>{_text(schema['description'])}</p>" if "description" in schema else ""
    content = _table("", rows) if "properties" in schema else f"<p>{_type(schema)}</p>"
    return _folded(f"object-{_slug(name)}", _text(name), about + content)


def _folded(id_: str, summary: str, content: str) -> str:
    """The id is inside: a browser opens what a link leads into."""
    return f"<details><summary>{summary}</summary><div id={_quoted(id_)}>{content}</div></details>"


def _parameter(parameter: Schema) -> list[str]:
    name = f"<code>{_text(parameter['name'])}</code> <small>{_text(parameter['in'])}</small>"
    return [name, _type(parameter["schema"]), _text(parameter.get("description", ""))]


def _answer(status: str, answer: Schema) -> list[str]:
    return [status, _body(answer["content"]) if "content" in answer else "", _text(answer["description"])]


def _body(content: Schema) -> str:
    return "".join(_type(media["schema"]) for media in content.values())


def _type(schema: Schema) -> str:
    """A type in a few words, with links to objects."""
    if "$ref" in schema:
        return _link(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema and "type" not in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"<code>{_text(value)}</code>" for value in schema["enum"])
    if "properties" in schema:
        inner = ", ".join(f"<code>{_text(key)}</code>: {_type(value)}" for key, value in schema["properties"].items())
        return f"{{ {inner} }}"
    if schema.get("type") == "array":
        return f"[ {_type(schema['items'])} ]"
    kinds = schema.get("type", "any")
    return _text(" or ".join(kinds) if isinstance(kinds, list) else kinds)


def _remarks(schema: Schema) -> str:
    limits = {"minimum": "from", "maximum": "to", "maxLength": "at most", "default": "default"}
    found = [schema, *schema.get("anyOf", ())]
    said = [f"{word} {_text(_json(part[key]))}" for key, word in limits.items() for part in found if key in part]
    return "; ".join([*([_text(schema["description"])] if "description" in schema else []), *said])


def _json(value: Any) -> str:
    return {True: "true", False: "false"}.get(value, str(value)) if isinstance(value, bool) else repr(value)


def _table(title: str, rows: Iterable[list[str]]) -> str:
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"{f'<h4>{title}</h4>' if title else ''}<table>{lines}</table>" if lines else ""


def _link(name: str) -> str:
    return f"<a href={_quoted('#object-' + _slug(name))}>{_text(name)}</a>"


def _slug(text: str) -> str:
    return text.lower().replace(" ", "-")


def _quoted(text: str) -> str:
    return f'"{html.escape(text)}"'


def _text(value: object) -> str:
    return html.escape(str(value))
