"""What all blueprints of the API have in common: strict arguments, and ids in URLs."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import wraps
from typing import Any, TypeVar, cast

from flask import Flask
from flask_smorest import Api
from flask_smorest import Blueprint as SmorestBlueprint
from werkzeug.routing import BaseConverter

from webhookcron.api.json_body import StrictParser
from webhookcron.api.strict_requests import Heard, document_errors

Decorated = TypeVar("Decorated")


class Blueprint(SmorestBlueprint):  # type: ignore[misc]
    """A flask-smorest blueprint that reads its arguments strictly, its decorators typed."""

    ARGUMENTS_PARSER = StrictParser()

    def route(self, *args: Any, **kwargs: Any) -> Callable[[Decorated], Decorated]:
        """Serve a view class at a URL."""
        return cast(Callable[[Decorated], Decorated], super().route(*args, **kwargs))

    def arguments(self, *args: Any, **kwargs: Any) -> Callable[[Decorated], Decorated]:
        """Hand the view what a schema reads from the request; 422 when it cannot."""
        return cast(Callable[[Decorated], Decorated], super().arguments(*args, **kwargs))

    def response(self, *args: Any, **kwargs: Any) -> Callable[[Decorated], Decorated]:
        """Write what the view returns by a schema."""
        return cast(Callable[[Decorated], Decorated], super().response(*args, **kwargs))

    def alt_response(self, *args: Any, **kwargs: Any) -> Callable[[Decorated], Decorated]:
        """Document another answer."""
        return cast(Callable[[Decorated], Decorated], super().alt_response(*args, **kwargs))

    @staticmethod
    def doc(**kwargs: Any) -> Callable[[Decorated], Decorated]:
        """Add to the documentation of the operation."""
        return cast(Callable[[Decorated], Decorated], SmorestBlueprint.doc(**kwargs))


def open_to_all(view: Decorated) -> Decorated:
    """Serve an operation without any credential, and say so in its documentation; it is counted by address."""
    heard = Heard.by(getattr(view, "_apidoc", {}))

    @wraps(cast(Callable[..., Any], view))
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        heard.refuse_the_rest()
        return cast(Callable[..., Any], view)(*args, **kwargs)

    doc = deepcopy(getattr(view, "_apidoc", {}))
    doc.setdefault("manual_doc", {})["security"] = []
    document_errors(doc, wrapper.__name__.upper())
    wrapper._apidoc = doc  # type: ignore[attr-defined]
    return cast(Decorated, wrapper)


class JobIdConverter(BaseConverter):
    """The id of a job. Anything else in its place is a URL that does not exist: 404."""

    regex = "[0-9a-f]{24}"
    example = "6740d0c0a1b2c3d4e5f60718"


class ExecutionIdConverter(BaseConverter):
    """The id of an execution: that of its job, then what it was made for."""

    regex = "[0-9a-f]{24}:[0-9A-Za-z:-]{1,300}"
    example = "6740d0c0a1b2c3d4e5f60718:1735689600000"


class JobKeyConverter(BaseConverter):
    """A name that users give their jobs."""

    regex = "[A-Za-z0-9._:~-]{1,128}"
    example = "weekly-report"


class ObjectIdConverter(BaseConverter):
    """The id of something that users make, such as an API key."""

    regex = "[0-9a-f]{24}"
    example = "6740d0c0a1b2c3d4e5f60719"


class UserIdConverter(BaseConverter):
    """The id of a user; that of the first one is a word."""

    regex = "admin|[0-9a-f]{12,24}"
    example = "6740d0c0a1b2c3d4e5f60720"


_CONVERTERS: dict[str, type[Any]] = {
    "job_id": JobIdConverter,
    "execution_id": ExecutionIdConverter,
    "job_key": JobKeyConverter,
    "object_id": ObjectIdConverter,
    "user_id": UserIdConverter,
}


def register_converters(app: Flask, api: Api) -> None:
    """Make the ids known to the router and to the OpenAPI document."""
    for name, converter in _CONVERTERS.items():
        app.url_map.converters[name] = converter
        api.register_converter(converter, _parameter_schema)


def _parameter_schema(converter: Any) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^({converter.regex})$", "example": converter.example}
