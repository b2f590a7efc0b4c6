"""Settings: all that is wrong at once, where a start stops at the first."""

from __future__ import annotations

from collections.abc import Mapping

from webhookcron.config import PREFIX, VARIABLES, Settings, SettingsError, load_settings, unknown_variables
from webhookcron.core.zones import tzdata_version
from webhookcron.maintenance.doctor.findings import Finding, fault, ok, warning

_STAND_INS = {
    "MONGODB_URI": "mongodb://127.0.0.1/webhookcron",
    "REDIS_URL": "redis://127.0.0.1/0",
    f"{PREFIX}SECRET_KEY": "x" * 32,
}
_SHORT_KEY = 32


def settings_findings(environ: Mapping[str, str]) -> tuple[Settings, frozenset[str], list[Finding]]:
    """(Settings with stand-ins for what is wrong, the names of what is wrong, findings)."""
    environ, wrong, findings = dict(environ), set(), []
    while True:
        try:
            settings = load_settings(environ, role="api")
            break
        except SettingsError as error:
            name = _named(str(error))
            wrong.add(name)
            message = str(error).removeprefix(name).strip()
            findings.append(fault(name, message, "set it right in the environment of every process"))
            for variant in (name, f"{name}_FILE"):
                environ.pop(variant, None)
            if name in _STAND_INS:
                environ[name] = _STAND_INS[name]
    findings += [
        warning(name, line, "remove it, or correct its name")
        for name, line in unknown_variables(environ).items()
    ]
    if not wrong:
        findings.append(ok("settings", f"{len(VARIABLES)} variables are set right or have their defaults"))
    return settings, frozenset(wrong), [*findings, *_keys(settings, wrong), *_others(settings)]


def _named(message: str) -> str:
    """The variable that a message is about: its first word, without `_FILE`."""
    word = message.partition(" ")[0]
    names = {variable.name for variable in VARIABLES}
    return word if word in names else word.removesuffix("_FILE")


def _keys(settings: Settings, wrong: set[str]) -> list[Finding]:
    name = f"{PREFIX}SECRET_KEY"
    if name in wrong:
        return []
    if len(settings.secret_keys[0]) < _SHORT_KEY:
        return [
            warning(
                name,
                f"the first key has {len(settings.secret_keys[0])} characters",
                "make a random one with `webhookcron secret-key`, put it first, and run `webhookcron reencrypt`",
            )
        ]
    if len(settings.secret_keys) > 1:
        return [
            warning(
                name,
                f"{len(settings.secret_keys)} keys are set: older ones still open secrets",
                "run `webhookcron reencrypt`, then leave the first key only",
            )
        ]
    return [ok(name, "one key of good length; keep a copy of it apart from the backups")]


def _others(settings: Settings) -> list[Finding]:
    findings = [ok("time zones", f"tzdata {tzdata_version()}; it must be the same on all machines")]
    if settings.smtp_url and settings.smtp_from.endswith("@localhost>"):
        findings.append(
            warning(
                f"{PREFIX}SMTP_FROM",
                "mails come from localhost, which many servers refuse",
                "set an address of a domain of yours",
            )
        )
    return findings
