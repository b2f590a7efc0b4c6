"""`webhookcron completion`: the shell completes commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

_PLACES = {
    "bash": "~/.bashrc",
    "zsh": "~/.zshrc",
    "fish": "~/.config/fish/completions/webhookcron.fish",
}


@click.command(short_help="Print a script that lets the shell complete commands.")
@click.argument("shell", type=click.Choice(sorted(_PLACES)), help="Which shell the script is for.")
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script that lets the shell complete commands and options.

    \b
    bash:  eval "$(webhookcron completion bash)"   in ~/.bashrc
    zsh:   eval "$(webhookcron completion zsh)"    in ~/.zshrc
    fish:  webhookcron completion fish > ~/.config/fish/completions/webhookcron.fish

    \b
    Exit codes: 0 done; 2 an unknown shell.
    """
    class_ = get_completion_class(shell)
    assert class_ is not None
    script = class_(ctx.find_root().command, {}, "webhookcron", "_WEBHOOKCRON_COMPLETE")
    click.echo(f"# For {_PLACES[shell]}")
    click.echo(script.source(), nl=False)
