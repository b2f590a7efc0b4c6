"""JSON values as YAML that people like to edit, and that YAML 1.1 and 1.2 readers take for the same values."""

from __future__ import annotations

import re
from typing import Any

import yaml

from webhookcron.manifests.yaml_reading import RESOLVERS

LINE_WIDTH = 100


class _Dumper(yaml.SafeDumper):
    """PyYAML's, which quotes what YAML 1.1 would take for something else, taught the same for YAML 1.2."""

    def ignore_aliases(self, data: Any) -> bool:
        # Anchors would be made of values that happen to be the same object.
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        # Lists below a name are indented, as most people write them.
        super().increase_indent(flow, False)


for _tag, _pattern, _first in RESOLVERS:
    _Dumper.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), [c.strip("\0") for c in _first])


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # A block with empty lines at its end would have to be closed by "...", which ends the whole document.
    if "\n" in text and not text.startswith((" ", "\n")) and not text.endswith("\n\n"):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    # Cron expressions are always quoted: some have to be, and then all look alike.
    if _CRON.fullmatch(text):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')
    return dumper.represent_scalar("tag:yaml.org,2002:str", text)


_CRON = re.compile(r"(?:[0-9A-Za-z*,/#?LW-]+ ){4,5}[0-9A-Za-z*,/#?LW-]+")

_Dumper.add_representer(str, _text)


def write_yaml(value: Any) -> str:
    """`value` as a YAML document in block style, with a line break at its end."""
    return yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=LINE_WIDTH, default_flow_style=False
    )
