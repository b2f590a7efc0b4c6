"""The receivers shown in docs/signatures.md do what the text says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from webhookcron.core.signing import generate_secret, signature_headers

DOCUMENT = Path(__file__).parents[3] / "docs" / "signatures.md"
SECRET = generate_secret(b"0123456789abcdef01234567")
OLD_SECRET = generate_secret(b"abcdef0123456789abcdef01")
BODY = '{"grün": 1}'.encode()


def _example(language: str) -> str:
    match = re.search(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert match is not None
    return match[1]


def _headers(*secrets: str, age_seconds: int = 0) -> dict[str, str]:
    return dict(signature_headers(secrets, "job:1767225600000", int(time.time()) - age_seconds, BODY))


def _cases() -> list[tuple[dict[str, str], bytes, bool]]:
    good = _headers(SECRET)
    return [
        (good, BODY, True),
        (_headers(OLD_SECRET, SECRET), BODY, True),
        (_headers(OLD_SECRET), BODY, False),
        (good, BODY + b" ", False),
        (_headers(SECRET, age_seconds=400), BODY, False),
        (good | {"webhook-id": "other"}, BODY, False),
        (good | {"webhook-timestamp": "soon"}, BODY, False),
        ({}, BODY, False),
    ]


def _verdicts(command: list[str], directory: Path) -> list[bool]:
    """What an example says to the cases, which it is given as JSON on its standard input."""
    cases: list[Any] = [{"headers": headers, "body": body.decode()} for headers, body, _ in _cases()]
    ended = subprocess.run(
        command,
        input=json.dumps({"secret": SECRET, "cases": cases}),
        capture_output=True,
        text=True,
        cwd=directory,
        timeout=100,
    )
    assert ended.returncode == 0, ended.stderr
    verdicts: list[bool] = json.loads(ended.stdout)
    return verdicts


def test_the_python_receiver_tells_genuine_calls_from_others() -> None:
    names: dict[str, Any] = {}
    exec(_example("python"), names)
    verdicts = [names["is_genuine"](SECRET, headers, body) for headers, body, _ in _cases()]
    assert verdicts == [genuine for _, _, genuine in _cases()]


def test_the_node_receiver_tells_genuine_calls_from_others(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    (tmp_path / "main.js").write_text(
        _example("javascript")
        + """
        const input = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
        const verdicts = input.cases.map((c) => isGenuine(input.secret, c.headers, Buffer.from(c.body)));
        console.log(JSON.stringify(verdicts));
        """
    )
    assert _verdicts([node, "main.js"], tmp_path) == [genuine for _, _, genuine in _cases()]


def test_the_go_receiver_tells_genuine_calls_from_others(tmp_path: Path) -> None:
    go = shutil.which("go")
    if go is None:
        pytest.skip("go is not installed")
    (tmp_path / "go.mod").write_text("module example\n\ngo 1.19\n")
    (tmp_path / "receiver.go").write_text(_example("go").replace("package webhooks", "package main"))
    (tmp_path / "main.go").write_text(
        """
        package main

        import (
            "encoding/json"
            "net/http"
            "os"
        )

        func main() {
            var input struct {
                Secret string
                Cases  []struct {
                    Headers map[string]string
                    Body    string
                }
            }
            if err := json.NewDecoder(os.Stdin).Decode(&input); err != nil {
                panic(err)
            }
            verdicts := []bool{}
            for _, c := range input.Cases {
                header := http.Header{}
                for name, value := range c.Headers {
                    header.Set(name, value)
                }
                verdicts = append(verdicts, IsGenuine(input.Secret, header, []byte(c.Body)))
            }
            json.NewEncoder(os.Stdout).Encode(verdicts)
        }
        """
    )
    assert _verdicts([go, "run", "."], tmp_path) == [genuine for _, _, genuine in _cases()]
