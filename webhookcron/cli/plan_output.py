"""A plan as text: what would be created, changed and deleted, and what comes of it."""

from __future__ import annotations

from rich.text import Text

from webhookcron.logs import escape_control_characters
from webhookcron.manifests.plan import Action, ActionKind, Plan, value_words

_SIGNS = {
    ActionKind.CREATE: ("+", "green"),
    ActionKind.CHANGE: ("~", "yellow"),
    ActionKind.DELETE: ("-", "red"),
    ActionKind.SEND_SECRETS: ("*", "cyan"),
}

_COUNTS = (
    (ActionKind.CREATE, "to create"),
    (ActionKind.CHANGE, "to change"),
    (ActionKind.DELETE, "to delete"),
    (ActionKind.SEND_SECRETS, "with secrets to send again"),
    (ActionKind.NONE, "unchanged"),
)

SECRETS_SENTENCE = (
    "the same as far as one can see; its secrets are never shown, so they are sent again to be sure"
)


def plan_lines(plan: Plan) -> list[Text]:
    """The plan, line by line; its last line counts."""
    lines: list[Text] = []
    for action in plan.to_do:
        lines += _action_lines(action)
        lines.append(Text())
    lines.append(summary(plan))
    return lines


def summary(plan: Plan) -> Text:
    """The counts, in one line."""
    if not plan.drifted and not plan.to_do:
        return Text(f"No changes: {_jobs(len(plan.actions))} as in the files.", style="green")
    counts = [(len(plan.of(kind)), words) for kind, words in _COUNTS]
    text = ", ".join(f"{count} {words}" for count, words in counts if count)
    return Text(f"{'Plan' if plan.drifted else 'No changes to be seen'}: {text}.", style="bold")


def _jobs(count: int) -> str:
    return f"{count} job{'s are' if count != 1 else ' is'}"


def _action_lines(action: Action) -> list[Text]:
    sign, style = _SIGNS[action.kind]
    head = Text.assemble(
        (f"{sign} {action.key}", f"bold {style}"), "  ", escape_control_characters(action.name)
    )
    if action.place is not None:
        head.append(f"  {action.place}", "dim")
    lines = [head]
    width = max((len(change.name) for change in action.changes), default=0)
    for change in action.changes:
        line = Text(f"    {escape_control_characters(change.name):<{width}}  ")
        if action.kind is ActionKind.CHANGE:
            line.append(escape_control_characters(value_words(change.before)), "red")
            line.append(" → ", "dim")
        line.append(escape_control_characters(value_words(change.after)), "green")
        lines.append(line)
    if action.kind is ActionKind.SEND_SECRETS:
        lines.append(Text(f"    {SECRETS_SENTENCE}", "dim"))
    lines += [Text(f"    » {effect}", "cyan") for effect in action.effects]
    return lines
