"""Settings about who may come in, and how often."""

import pytest

from webhookcron.config import SettingsError, load_settings

COMPLETE = {
    "MONGODB_URI": "mongodb://db:27017/webhookcron",
    "REDIS_URL": "redis://cache:6379/0",
    "WEBHOOKCRON_SECRET_KEY": "0123456789abcdef",
}


@pytest.mark.parametrize(
    ("name", "text", "field", "expected"),
    [
        ("RATE_LIMIT", "5/minute", "rate_limit", "5 per minute"),
        ("RATE_LIMIT", "100 PER 15 Minutes", "rate_limit", "100 per 15 minutes"),
        ("RATE_LIMIT_ANONYMOUS", "off", "rate_limit_anonymous", None),
        ("RATE_LIMIT_TRIGGER", "1 per 2 hours", "rate_limit_trigger", "1 per 2 hours"),
        ("RATE_LIMIT_LOGIN", "7 per day", "rate_limit_login", "7 per day"),
        ("OPEN_REGISTRATION", "True", "open_registration", True),
        (
            "ALLOWED_ORIGINS",
            "https://App.example.com/, http://localhost:3000",
            "allowed_origins",
            ("https://app.example.com", "http://localhost:3000"),
        ),
        ("ALLOWED_ORIGINS", "*", "allowed_origins", ("*",)),
        ("ALLOWED_ORIGINS", "", "allowed_origins", ()),
    ],
)
def test_values_are_read(name: str, text: str, field: str, expected: object) -> None:
    settings = load_settings({**COMPLETE, f"WEBHOOKCRON_{name}": text}, role="api")
    assert getattr(settings, field) == expected


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("RATE_LIMIT", "0 per minute", "a rate such as"),
        ("RATE_LIMIT", "5 per 0 minutes", "a rate such as"),
        ("RATE_LIMIT", "5", "a rate such as"),
        ("RATE_LIMIT", "5 per fortnight", "a rate such as"),
        ("RATE_LIMIT", "-5 per minute", "a rate such as"),
        ("OPEN_REGISTRATION", "yes", "true or false"),
        ("ALLOWED_ORIGINS", "example.com", "origins such as"),
        ("ALLOWED_ORIGINS", "https://example.com/path", "origins such as"),
        ("ALLOWED_ORIGINS", "https://*.example.com", "origins such as"),
        ("ALLOWED_ORIGINS", "https://user@example.com", "origins such as"),
        ("TRUSTED_PROXIES", "proxy", "address ranges"),
        ("AUDIT_RETENTION_DAYS", "0", "a whole number from 1"),
    ],
)
def test_wrong_values_stop_the_start(name: str, text: str, wanted: str) -> None:
    with pytest.raises(SettingsError, match=rf"WEBHOOKCRON_{name} must be .*{wanted}"):
        load_settings({**COMPLETE, f"WEBHOOKCRON_{name}": text}, role="api")
