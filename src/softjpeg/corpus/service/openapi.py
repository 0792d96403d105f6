"""What the service answers, as OpenAPI 3.1."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, get_args

from softjpeg.corpus.service.settings import MOST_BYTES, ServiceMode, Settings

_REFUSALS = {
    "400": "The query is wrong.",
    "401": "The token is missing or another.",
    "408": "The body did not arrive in time.",
    "413": "The body, or the image by its header, is beyond a limit.",
    "415": "Neither this content type nor this format is read.",
    "422": "The body is damaged, or fits max_bytes at no quality.",
    "429": "Too many bytes are waiting; Retry-After says when to come again.",
    "503": "The service starts, stops or is short of memory; Retry-After says when to come again.",
    "504": "The image took too long.",
}
_BINARY: dict[str, Any] = {"type": "string", "format": "binary"}


def description(settings: Settings) -> dict[str, Any]:
    """The document for a service of these settings, in JSON's types."""
    encode = _operation(
        settings,
        "encode",
        "An image as a JPEG file",
        body={kind: {"schema": _BINARY} for kind in ("image/*", "application/octet-stream")},
        answer={
            "description": "The bytes that softjpeg encode writes.",
            "headers": {
                "ETag": _header("SHA-256 of the file."),
                "X-Preset-Digest": _header("SHA-256 of the preset, as in a manifest."),
                "X-Quality": _header("Of a file of at most max_bytes."),
                "X-Source-Bytes": _header("Of the image that came."),
            },
            "content": {"image/jpeg": {"schema": _BINARY}},
        },
    )
    form = {"type": "object", "additionalProperties": _BINARY}
    batch = _operation(
        settings,
        "batch",
        "Many images as a tar archive of JPEG files",
        body={
            "application/x-tar": {"schema": _BINARY},
            "multipart/form-data": {"schema": form},
        },
        answer={
            "description": "Files, and manifest.jsonl with a line for every image.",
            "content": {"application/x-tar": {"schema": _BINARY}},
        },
    )
    health = {path: {"get": _health(words)} for path, words in _HEALTH.items()}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "softjpeg serve", "version": version("softjpeg")},
        "paths": {"/v1/encode": {"post": encode}, "/v1/batch": {"post": batch}, **health},
        "components": {"schemas": {"Refusal": _REFUSAL}},
    }
    if settings.token:
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    return document


_HEALTH = {
    "/livez": "The process answers.",
    "/readyz": "Images are encoded.",
    "/metrics": "Prometheus' text format.",
}
_REFUSAL = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "detail": {"type": "string"}},
    "required": ["error", "detail"],
}


def _operation(
    settings: Settings, name: str, summary: str, *, body: Any, answer: Any
) -> dict[str, Any]:
    refusals = {
        status: {
            "description": words,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
        }
        for status, words in _REFUSALS.items()
    }
    return {
        "operationId": name,
        "summary": summary,
        "parameters": [
            _parameter("preset", {"type": "string", "enum": [*settings.presets]}, required=True),
            _parameter("quality", {"type": "integer", "minimum": 1, "maximum": 100}),
            _parameter("mode", {"type": "string", "enum": [*get_args(ServiceMode)]}),
            _parameter("max_bytes", {"type": "integer", "minimum": 1, "maximum": MOST_BYTES}),
        ],
        "requestBody": {"required": True, "content": body},
        "responses": {"200": answer, **refusals},
        **({"security": [{"token": []}]} if settings.token else {}),
    }


def _parameter(name: str, schema: dict[str, Any], *, required: bool = False) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _header(words: str) -> dict[str, Any]:
    return {"description": words, "schema": {"type": "string"}}


def _health(words: str) -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    busy = {
        "description": _REFUSALS["503"],
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
    }
    return {"responses": {"200": {"description": words, "content": text}, "503": busy}}
