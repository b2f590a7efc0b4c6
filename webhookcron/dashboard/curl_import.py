"""A cURL command line as values of the job form: pure."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from webhookcron.dashboard.durations import exact_duration
from webhookcron.dashboard.form_text import delay_list, header_lines
from webhookcron.dashboard.job_form import pretty_json
from webhookcron.imports.curl import curl_request
from webhookcron.imports.errors import NotImportable
from webhookcron.imports.requests import request_fields
from webhookcron.imports.shell_words import read_line

MAX_LENGTH = 300_000
"""A payload may have 256 KiB."""


def form_values_of_command(text: str) -> tuple[dict[str, str], list[str]]:
    """(values by field of the form, sentences about what is done differently).

    Raises NotImportable with the reason, for what is no call of cURL or asks for what a job cannot do.
    """
    if len(text) > MAX_LENGTH:
        raise NotImportable("it is too long")
    notes: list[str] = []

    def of_variable(name: str) -> str:
        notes.append(f"${name} is a variable of your shell: write its value in its place")
        return f"${name}"

    line = read_line(text.strip().removeprefix("$ "), of_variable)
    commands = [command for command in line.commands if command.words]
    if len(commands) != 1:
        raise NotImportable("it is empty" if not commands else "it is more than one command")
    tool, *arguments = commands[0].words
    if PurePosixPath(tool).name != "curl":
        raise NotImportable(f"it runs {tool}, not curl")
    request = curl_request(arguments)
    fields = request_fields(request, lambda _what, value: value)
    return _form_values(fields), [*dict.fromkeys(notes), *request.notes]


def _form_values(fields: dict[str, Any]) -> dict[str, str]:
    content_type = fields.get("contentType", "")
    values = {
        "webhook_url": fields["webhookUrl"],
        "method": fields.get("method", "POST"),
        "headers": header_lines(fields.get("headers", {})),
        "secret_headers": ", ".join(fields.get("secretHeaders", ())),
        "content_type": content_type,
        "payload": _payload(fields.get("payload"), content_type),
        "follow_redirects": "on" if fields.get("followRedirects") else "",
        "auth_type": "",
    }
    if "auth" in fields:
        auth = fields["auth"]
        values["auth_type"] = auth["type"]
        values |= {f"auth_{name}": auth[name] for name in ("username", "password", "token") if name in auth}
    if "timeoutMs" in fields:
        values["timeout"] = exact_duration(fields["timeoutMs"])
    if "maxRetries" in fields:
        values["max_retries"] = str(fields["maxRetries"])
    if "retryDelaysMs" in fields:
        values |= {"retry_mode": "list", "retry_delays": delay_list(fields["retryDelaysMs"])}
    return values


def _payload(payload: Any, content_type: str) -> str:
    if payload is None:
        return ""
    return payload if isinstance(payload, str) and content_type else pretty_json(payload)
