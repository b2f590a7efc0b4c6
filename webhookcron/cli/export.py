"""`webhookcron export` and `webhookcron schema`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from webhookcron.cli.connection import api_command
from webhookcron.cli.console import is_interactive, print_json, progress_bar
from webhookcron.cli.errors import CommandFailed, WrongSetting

if TYPE_CHECKING:
    from webhookcron.client.api import ApiClient


@click.command(short_help="Print the platform's jobs as a file for apply.")
@click.argument("jobs", nargs=-1, metavar="[JOB]...", help="Ids, keys or names; without any, all jobs.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(dir_okay=False), help="Write into this file.")
@click.option("--tag", metavar="TAG", help="Only jobs with this tag.")
@click.option(
    "--assign-keys", is_flag=True, help="Give jobs without a key one, made of their name, on the platform."
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask before keys are given.")
@api_command
def export(
    api: ApiClient,
    jobs: tuple[str, ...],
    output: str | None,
    tag: str | None,
    assign_keys: bool,
    yes: bool,
) -> None:
    """Print the platform's jobs as YAML that `apply` takes back unchanged.

    Secrets are not in it: *** keeps the one that the platform has. A job needs a key to be in a file; jobs without one
    are left out, unless --assign-keys gives them one.

    \b
    Exit codes: 0 done; 1 the platform did not do as asked; 2 wrong options or settings.
    """
    from webhookcron.client.jobs import all_jobs, find_job, own_id
    from webhookcron.manifests.export import export_text

    if jobs and tag is not None:
        raise WrongSetting("give either jobs or --tag")
    if jobs:
        found = [find_job(api, called) for called in dict.fromkeys(jobs)]
    else:
        filters = {} if tag is None else {"tag": tag}
        with progress_bar("Reading jobs") as show:
            found = all_jobs(api, progress=show, **filters)
        owner_id = own_id(api)
        found = [job for job in found if owner_id in (None, job["ownerId"])]
    without = [job for job in found if job["key"] is None]
    if without and assign_keys:
        found = _with_keys(api, found, yes=yes)
    elif without:
        click.echo(
            f"warning: {len(without)} job{'s' * (len(without) != 1)} without a key left out (--assign-keys gives one): "
            + ", ".join(repr(job["name"]) for job in without[:5])
            + ("…" if len(without) > 5 else ""),
            err=True,
        )
    text = export_text((job for job in found if job["key"] is not None), now=api.now())
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        with open(output, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CommandFailed(f"cannot write {output}: {error.strerror}") from None


@click.command(short_help="Print the JSON Schema of files of jobs.")
def schema() -> None:
    """Print the JSON Schema of files of jobs, with which editors complete and check them.

    For example: `webhookcron schema > webhookcron.schema.json`, and as the first line of a file of jobs
    `# yaml-language-server: $schema=webhookcron.schema.json`.
    """
    from webhookcron.manifests.json_schema import manifest_schema

    print_json(manifest_schema())


def _with_keys(api: ApiClient, jobs: list[dict[str, Any]], *, yes: bool) -> list[dict[str, Any]]:
    from webhookcron.imports.names import key_of

    taken = {job["key"] for job in jobs if job["key"] is not None}
    keys: dict[str, str] = {}
    for job in jobs:
        if job["key"] is None:
            keys[job["id"]] = key_of(job["name"], taken)
            taken.add(keys[job["id"]])
            click.echo(f"{job['name']} ({job['id']}): key {keys[job['id']]}", err=True)
    if not yes:
        if not is_interactive():
            raise WrongSetting("nobody is there to confirm these keys: add --yes")
        if not click.confirm("Give these keys?", err=True):
            raise CommandFailed("no key was given")
    return [
        dict(api.send("PATCH", f"/api/cron/{job['id']}", body={"key": keys[job["id"]]}).json())
        if job["id"] in keys
        else job
        for job in jobs
    ]
