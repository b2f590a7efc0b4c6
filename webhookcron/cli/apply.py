"""`webhookcron apply` and `webhookcron diff`: jobs as code."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from webhookcron.cli.connection import api_command, json_option, told_errors
from webhookcron.cli.console import console, is_interactive, print_json, progress_bar
from webhookcron.cli.errors import CommandFailed, WrongSetting
from webhookcron.client.errors import ApiRefused, ApiUnreachable
from webhookcron.manifests.errors import ManifestsWrong, Problem

if TYPE_CHECKING:
    from webhookcron.client.api import ApiClient
    from webhookcron.manifests.plan import Action, Plan

_files_option = click.option(
    "-f",
    "--file",
    "files",
    metavar="PATH",
    multiple=True,
    required=True,
    help="A file of jobs, a directory of .yaml, .yml and .json files, or - for standard input; may be repeated.",
)
_prune_option = click.option(
    "--prune", is_flag=True, help="Also delete your jobs that have a key which is in none of the files."
)
_prune_tag_option = click.option(
    "--prune-tag", metavar="TAG", help="With --prune: delete only jobs with this tag."
)


@click.command(short_help="Make the platform's jobs those of files.")
@_files_option
@_prune_option
@_prune_tag_option
@click.option("--dry-run", is_flag=True, help="Show the plan and do nothing; ends with 0 either way.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--show-secrets", is_flag=True, help="Print the signing secrets of new jobs, this once.")
@json_option
@api_command
def apply(
    api: ApiClient,
    files: tuple[str, ...],
    prune: bool,
    prune_tag: str | None,
    dry_run: bool,
    yes: bool,
    show_secrets: bool,
    as_json: bool,
) -> None:
    """Make the platform's jobs those of files.

    Shows first what it would create, change and delete, field by field, and what that does to fire times; then asks.
    Applying the same files again changes nothing. docs/jobs-as-code.md describes the files.

    \b
    Exit codes: 0 done, nothing to do, or dry run; 1 something could not be applied, or was declined;
    2 the files, options or settings are wrong.
    """
    if as_json and not (dry_run or yes):
        raise WrongSetting("--json needs --yes or --dry-run: there is no place for a question in JSON")
    plan = compute_plan(api, files, prune=prune, prune_tag=prune_tag, quiet=as_json)
    if not as_json:
        print_plan(plan)
    if dry_run or not plan.to_do:
        if as_json:
            print_plan_json(plan)
        return
    if not yes:
        _confirm(plan)
    done, failed = _carry_out(api, plan, quiet=as_json)
    _tell_outcome(plan, done, failed, as_json=as_json, show_secrets=show_secrets)


@click.command(short_help="Tell whether the platform's jobs differ from files.")
@_files_option
@_prune_option
@_prune_tag_option
@json_option
@api_command
def diff(api: ApiClient, files: tuple[str, ...], prune: bool, prune_tag: str | None, as_json: bool) -> None:
    """Tell whether the platform's jobs differ from files, and how; nothing is changed.

    Secrets cannot be compared, as the platform never shows them.

    \b
    Exit codes: 0 no difference; 1 there is a difference; 2 something went wrong.
    """
    try:
        with told_errors():
            plan = compute_plan(api, files, prune=prune, prune_tag=prune_tag, quiet=as_json)
    except WrongSetting:
        raise
    except CommandFailed as error:
        raise CannotCompare(error.message) from None
    if as_json:
        print_plan_json(plan)
    else:
        print_plan(plan)
    if plan.drifted:
        raise click.exceptions.Exit(1)


class CannotCompare(CommandFailed):
    """Nothing is known about differences, so that 1 would say too much."""

    exit_code = 2


def compute_plan(
    api: ApiClient, files: Iterable[str], *, prune: bool, prune_tag: str | None, quiet: bool
) -> Plan:
    """The plan to make the platform's jobs those of `files`.

    Raises ManifestsWrong, WrongSetting and what the client raises.
    """
    from webhookcron.client.jobs import default_timezone, own_jobs_by_key
    from webhookcron.manifests.definitions import desired_job
    from webhookcron.manifests.files import read_entries
    from webhookcron.manifests.plan import make_plan

    if prune_tag is not None and not prune:
        raise WrongSetting("--prune-tag says which jobs --prune deletes: give --prune as well")
    entries = read_entries(files)
    if prune and not entries:
        raise WrongSetting(
            "the files hold no job: with --prune every job that has a key would be deleted, which is hardly meant"
        )
    with progress_bar("Reading jobs", quiet=quiet) as show:
        current = own_jobs_by_key(api, progress=show)
    timezone = "UTC"
    if any(entry.fields.get("timezone") is None for entry in entries):
        timezone = default_timezone(api)
    now = api.now()
    desired, problems = [], list[Problem]()
    for entry in entries:
        try:
            desired.append(
                desired_job(
                    entry, current.get(entry.key), environ=os.environ, default_timezone=timezone, now=now
                )
            )
        except ManifestsWrong as error:
            problems += error.problems
    if problems:
        raise ManifestsWrong(problems)
    keys = {entry.key for entry in entries}
    pruned = [
        job
        for key, job in current.items()
        if prune and key not in keys and (prune_tag is None or prune_tag in job["tags"])
    ]
    return make_plan(desired, current, prune=pruned, now=now)


def print_plan(plan: Plan) -> None:
    """The plan for people, on standard output."""
    from webhookcron.cli.plan_output import plan_lines

    screen = console()
    for line in plan_lines(plan):
        screen.print(line, soft_wrap=True)


def print_plan_json(plan: Plan, **more: Any) -> None:
    """The plan for programs, on standard output."""
    from webhookcron.manifests.plan import plan_as_json

    print_json({**plan_as_json(plan), **more})


def _confirm(plan: Plan) -> None:
    if not is_interactive():
        raise WrongSetting(
            "nobody is there to confirm the plan: add --yes to apply it, or --dry-run to see it only"
        )
    if not click.confirm("Apply this?" if plan.drifted else "Send the secrets again?"):
        raise CommandFailed("nothing was applied")


def _carry_out(
    api: ApiClient, plan: Plan, *, quiet: bool
) -> tuple[list[tuple[Action, dict[str, Any] | None]], list[tuple[Action, str]]]:
    """Do what the plan says: what was done, with the job that came of it, and what failed, with the reason.

    What is refused stops nothing else.
    """
    done: list[tuple[Action, dict[str, Any] | None]] = []
    failed: list[tuple[Action, str]] = []
    with progress_bar("Applying", quiet=quiet) as show:
        for number, action in enumerate(plan.to_do, 1):
            try:
                done.append((action, _send(api, action)))
            except ApiRefused as error:
                failed.append((action, _refusal(error)))
            except ApiUnreachable as error:
                failed.append((action, str(error)))
                # The rest would meet the same.
                break
            show(number, len(plan.to_do))
    return done, failed


def _send(api: ApiClient, action: Action) -> dict[str, Any] | None:
    # Only what was shown is changed: another version has to be looked at first.
    headers = {} if action.version is None else {"If-Match": f'"{action.version}"'}
    if action.body is None:
        api.send("DELETE", f"/api/cron/{action.job_id}", headers=headers)
        return None
    response = api.send("PUT", f"/api/cron/by-key/{action.key}", body=dict(action.body), headers=headers)
    return dict(response.json())


def _refusal(error: ApiRefused) -> str:
    if error.status == 412:
        return "it was changed or deleted by someone else since the plan was made; apply again"
    return str(error)


def _tell_outcome(
    plan: Plan,
    done: list[tuple[Action, dict[str, Any] | None]],
    failed: list[tuple[Action, str]],
    *,
    as_json: bool,
    show_secrets: bool,
) -> None:
    secrets = {action.key: job["signingSecret"] for action, job in done if job and job.get("signingSecret")}
    left = len(plan.to_do) - len(done) - len(failed)
    if as_json:
        more: dict[str, Any] = {
            "applied": [action.key for action, _ in done],
            "failed": [{"key": action.key, "reason": reason} for action, reason in failed],
        }
        if show_secrets:
            more["signingSecrets"] = secrets
        print_plan_json(plan, **more)
    else:
        click.echo(f"Applied {len(done)} of {len(plan.to_do)}.")
        if show_secrets:
            for key, secret in secrets.items():
                click.echo(f"signing secret of {key}: {secret}")
    for action, reason in failed:
        place = "" if action.place is None else f"{action.place}: "
        click.echo(f"error: {place}job {action.key!r}: {reason}", err=True)
    if failed:
        raise CommandFailed(
            f"{len(failed)} of {len(plan.to_do)} could not be applied"
            + (f", {left} were not tried" if left else "")
        )
