import re
from dataclasses import fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from webhookcron import config
from webhookcron.config import VARIABLES, Role, Settings, SettingsError, load_settings, unknown_variables

REPOSITORY = Path(__file__).parents[2]
COMPLETE = {
    "MONGODB_URI": "mongodb://user:mongo-password@db:27017/webhookcron",
    "REDIS_URL": "redis://:redis-password@cache:6379/0",
    "WEBHOOKCRON_SECRET_KEY": "0123456789abcdef",
}


def load(role: Role = "api", **more: str) -> Settings:
    return load_settings({**COMPLETE, **more}, role=role)


def test_defaults_are_as_documented() -> None:
    settings = load()

    assert (settings.host, settings.port, settings.key_prefix, settings.timezone) == (
        "127.0.0.1",
        8000,
        "wc",
        "UTC",
    )
    assert (
        settings.allowed_target_hosts,
        settings.allowed_target_networks,
        settings.allowed_target_ports,
    ) == (
        None,
        (),
        None,
    )
    assert (settings.retention_days, settings.sync_interval_seconds, settings.tick_interval_ms) == (
        30,
        300,
        250,
    )
    assert (settings.worker_concurrency, settings.max_per_host, settings.drain_seconds) == (500, 50, 25)
    assert (settings.log_level, settings.log_format) == ("info", "console")
    assert settings.celery_broker_url == COMPLETE["REDIS_URL"]


@pytest.mark.parametrize(
    ("name", "text", "field", "expected"),
    [
        (
            "WEBHOOKCRON_SECRET_KEY",
            "first-key-16-long, second-key-16-long",
            "secret_keys",
            ("first-key-16-long", "second-key-16-long"),
        ),
        ("WEBHOOKCRON_HOST", "[::1]", "host", "::1"),
        ("WEBHOOKCRON_PORT", "0", "port", 0),
        ("WEBHOOKCRON_TIMEZONE", "Europe/Berlin", "timezone", "Europe/Berlin"),
        (
            "WEBHOOKCRON_ALLOWED_TARGET_HOSTS",
            "API.example.com, *.Example.org,10.0.0.7",
            "allowed_target_hosts",
            ("api.example.com", "*.example.org", "10.0.0.7"),
        ),
        ("WEBHOOKCRON_ALLOWED_TARGET_HOSTS", "*", "allowed_target_hosts", ("*",)),
        (
            "WEBHOOKCRON_ALLOWED_TARGET_NETWORKS",
            "10.1.0.0/16, ::1",
            "allowed_target_networks",
            (ip_network("10.1.0.0/16"), ip_network("::1/128")),
        ),
        (
            "WEBHOOKCRON_ALLOWED_TARGET_PORTS",
            "443, 8000-8002",
            "allowed_target_ports",
            frozenset({443, 8000, 8001, 8002}),
        ),
        ("WEBHOOKCRON_TICK_INTERVAL_MS", "20", "tick_interval_ms", 20),
        ("WEBHOOKCRON_LOG_LEVEL", "WARNING", "log_level", "warning"),
        (
            "WEBHOOKCRON_TRACES_URL",
            "https://otlp.example.com/v1/traces",
            "traces_url",
            "https://otlp.example.com/v1/traces",
        ),
        (
            "WEBHOOKCRON_TRACES_HEADERS",
            "Authorization=Basic dXNlcjpwYXNz==, X-Tenant=cron",
            "traces_headers",
            (("Authorization", "Basic dXNlcjpwYXNz=="), ("X-Tenant", "cron")),
        ),
        ("WEBHOOKCRON_TRACES_RATIO", "0.05", "traces_ratio", 0.05),
        ("WEBHOOKCRON_TRACES_RATIO", "0", "traces_ratio", 0.0),
        ("WEBHOOKCRON_LOG_FORMAT", "json", "log_format", "json"),
        ("CELERY_BROKER_URL", "amqp://guest@mq//", "celery_broker_url", "amqp://guest@mq//"),
        (
            "MONGODB_URI",
            "mongodb://%2Ftmp%2Fm.sock/webhookcron",
            "mongodb_uri",
            "mongodb://%2Ftmp%2Fm.sock/webhookcron",
        ),
        (
            "MONGODB_URI",
            "mongodb://a:1,b:2,c:3/wc?replicaSet=rs0",
            "mongodb_uri",
            "mongodb://a:1,b:2,c:3/wc?replicaSet=rs0",
        ),
    ],
)
def test_it_reads_each_variable_into_its_field(name: str, text: str, field: str, expected: Any) -> None:
    assert getattr(load(**{name: text}), field) == expected


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("MONGODB_URI", "mongodb://db:27017", "the database name included"),
        ("MONGODB_URI", "mongodb://db:27017/", "the database name included"),
        ("MONGODB_URI", "postgres://db/webhookcron", "mongodb://host:port/database"),
        ("MONGODB_URI", "mongodb:///webhookcron", "mongodb://host:port/database"),
        ("MONGODB_URI", "mongodb://db/a b", "mongodb://host:port/database"),
        ("REDIS_URL", "http://cache", "redis://host:port/0"),
        ("REDIS_URL", "redis://cache:port/0", "redis://host:port/0"),
        ("REDIS_URL", "unix://", "unix:///path/to/redis.sock"),
        ("CELERY_BROKER_URL", "cache:6379", "a broker URL that Celery knows"),
        ("WEBHOOKCRON_SECRET_KEY", "short", "at least 16 random characters"),
        ("WEBHOOKCRON_SECRET_KEY", "0123456789abcdef,short", "at least 16 random characters"),
        ("WEBHOOKCRON_HOST", "127.0.0.1:8000", "without a port"),
        ("WEBHOOKCRON_PORT", "65536", "a whole number from 0 to 65535"),
        ("WEBHOOKCRON_PORT", "1_000", "a whole number from 0 to 65535"),
        ("WEBHOOKCRON_PORT", "٨٠٠٠", "a whole number from 0 to 65535"),
        ("WEBHOOKCRON_PORT", "-1", "a whole number from 0 to 65535"),
        ("WEBHOOKCRON_KEY_PREFIX", "a{b}", "1 to 32 letters"),
        ("WEBHOOKCRON_TIMEZONE", "Mars/Olympus", "an IANA time zone"),
        ("WEBHOOKCRON_TIMEZONE", "../../etc/passwd", "an IANA time zone"),
        ("WEBHOOKCRON_ALLOWED_TARGET_HOSTS", "", "leave it unset to allow every public host"),
        ("WEBHOOKCRON_ALLOWED_TARGET_HOSTS", "https://example.com", "without scheme, port or path"),
        ("WEBHOOKCRON_ALLOWED_TARGET_HOSTS", "example.com:443", "without scheme, port or path"),
        ("WEBHOOKCRON_ALLOWED_TARGET_HOSTS", "api.*.com", "without scheme, port or path"),
        ("WEBHOOKCRON_ALLOWED_TARGET_NETWORKS", "10.1.2.3/16", "no bit set behind the prefix"),
        ("WEBHOOKCRON_ALLOWED_TARGET_NETWORKS", "intranet", "address ranges"),
        ("WEBHOOKCRON_ALLOWED_TARGET_PORTS", "80-70", "ports or ranges"),
        ("WEBHOOKCRON_ALLOWED_TARGET_PORTS", "0", "ports or ranges"),
        ("WEBHOOKCRON_ALLOWED_TARGET_PORTS", "", "ports or ranges"),
        ("WEBHOOKCRON_RETENTION_DAYS", "0", "a whole number from 1 to 3650"),
        ("WEBHOOKCRON_SYNC_INTERVAL_SECONDS", "5m", "a whole number"),
        ("WEBHOOKCRON_TICK_INTERVAL_MS", "19", "a whole number from 20 to 60000"),
        ("WEBHOOKCRON_WORKER_CONCURRENCY", "0", "a whole number from 1"),
        ("WEBHOOKCRON_MAX_PER_HOST", "many", "a whole number from 1"),
        ("WEBHOOKCRON_DRAIN_SECONDS", "3601", "a whole number from 0 to 3600"),
        ("WEBHOOKCRON_TRACES_URL", "collector:4318", "the http:// or https:// URL"),
        ("WEBHOOKCRON_TRACES_URL", "http://collector:4318", "as http://collector:4318/v1/traces"),
        ("WEBHOOKCRON_TRACES_URL", "http://user:pw@collector:4318/v1/traces", "the http:// or https:// URL"),
        ("WEBHOOKCRON_TRACES_HEADERS", "Bearer t0ken", "name=value"),
        ("WEBHOOKCRON_TRACES_HEADERS", "X Y=1", "name=value"),
        ("WEBHOOKCRON_TRACES_HEADERS", "X=a\r\nY: b", "name=value"),
        ("WEBHOOKCRON_TRACES_RATIO", "5%", "a number from 0 to 1"),
        ("WEBHOOKCRON_TRACES_RATIO", "1.5", "a number from 0 to 1"),
        ("WEBHOOKCRON_TRACES_RATIO", "nan", "a number from 0 to 1"),
        ("WEBHOOKCRON_LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("WEBHOOKCRON_LOG_FORMAT", "xml", "one of console, json"),
    ],
)
def test_a_wrong_value_is_one_line_with_the_variable_and_what_would_be_right(
    name: str, text: str, right: str
) -> None:
    with pytest.raises(SettingsError) as refusal:
        load(**{name: text})

    message = str(refusal.value)
    assert message.startswith(f"{name} must be ")
    assert right in message
    assert "\n" not in message


@pytest.mark.parametrize("name", ["MONGODB_URI", "REDIS_URL", "WEBHOOKCRON_SECRET_KEY"])
@pytest.mark.parametrize("role", ["api", "ticker", "worker"])
def test_a_running_part_needs_stores_and_secret(role: Role, name: str) -> None:
    without = {key: value for key, value in COMPLETE.items() if key != name}

    with pytest.raises(SettingsError, match=rf"^{name} \(or {name}_FILE\) must be set: "):
        load_settings(without, role=role)


def test_setup_needs_mongodb_alone() -> None:
    settings = load_settings({"MONGODB_URI": COMPLETE["MONGODB_URI"]}, role="setup")

    assert (settings.redis_url, settings.celery_broker_url, settings.secret_keys) == ("", "", ())


def test_an_empty_variable_counts_as_unset() -> None:
    assert load(WEBHOOKCRON_PORT=" ", WEBHOOKCRON_ALLOWED_TARGET_NETWORKS="").port == 8000


@pytest.mark.parametrize(
    ("redis_url", "broker_url"),
    [
        ("redis://cache:6379/3", "redis://cache:6379/3"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock"),
        ("unix:///run/redis.sock?db=2", "redis+socket:///run/redis.sock?virtual_host=2"),
        ("unix://me:pw@/run/redis.sock", "redis+socket://me:pw@/run/redis.sock"),
    ],
)
def test_the_broker_is_redis_unless_another_is_named(redis_url: str, broker_url: str) -> None:
    assert load(REDIS_URL=redis_url).celery_broker_url == broker_url


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("  from-a-file-0123456789\n")
    environ = {key: value for key, value in COMPLETE.items() if key != "WEBHOOKCRON_SECRET_KEY"}

    settings = load_settings({**environ, "WEBHOOKCRON_SECRET_KEY_FILE": str(file)}, role="api")

    assert settings.secret_keys == ("from-a-file-0123456789",)


def test_a_secret_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="REDIS_URL and REDIS_URL_FILE are both set"):
        load(REDIS_URL_FILE=str(tmp_path / "url"))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "must name a readable file; .*No such file"),
        (b"", "is empty"),
        (b"\xff\xfe", "UTF-8"),
        (b"x" * 70_000, "too big"),
    ],
)
def test_a_secret_file_that_cannot_serve_is_refused(
    tmp_path: Path, content: bytes | None, complaint: str
) -> None:
    file = tmp_path / "uri"
    if content is not None:
        file.write_bytes(content)
    environ = {key: value for key, value in COMPLETE.items() if key != "MONGODB_URI"}

    with pytest.raises(SettingsError, match=f"^MONGODB_URI_FILE .*{complaint}"):
        load_settings({**environ, "MONGODB_URI_FILE": str(file)}, role="api")


def test_no_secret_is_in_the_repr() -> None:
    text = repr(load(CELERY_BROKER_URL="amqp://me:broker-password@mq//"))

    for secret in ("mongo-password", "redis-password", "broker-password", "0123456789abcdef"):
        assert secret not in text


def test_a_wrong_secret_is_not_in_the_message() -> None:
    with pytest.raises(SettingsError) as refusal:
        load(MONGODB_URI="mongo://user:mongo-password@db/wc")

    assert "mongo-password" not in str(refusal.value)


def test_traces_without_their_packages_are_refused_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def not_found(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(config, "find_spec", not_found)
    assert load().traces_url == ""
    with pytest.raises(SettingsError, match=r"WEBHOOKCRON_TRACES_URL .* pip install 'webhookcron\[otel\]'"):
        load(WEBHOOKCRON_TRACES_URL="http://collector:4318/v1/traces")


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        load().port = 1  # type: ignore[misc]


def test_an_unknown_variable_is_named_with_the_one_that_may_be_meant() -> None:
    assert unknown_variables(
        {"WEBHOOKCRON_ALLOWED_TARGETS_HOSTS": "", "WEBHOOKCRON_XYZZY": "", "PATH": ""}
    ) == {
        "WEBHOOKCRON_ALLOWED_TARGETS_HOSTS": (
            "WEBHOOKCRON_ALLOWED_TARGETS_HOSTS is not a setting; did you mean WEBHOOKCRON_ALLOWED_TARGET_HOSTS?"
        ),
        "WEBHOOKCRON_XYZZY": "WEBHOOKCRON_XYZZY is not a setting",
    }


def test_known_variables_are_not_complained_of() -> None:
    assert unknown_variables({variable.name: "" for variable in VARIABLES}) == {}
    assert unknown_variables({"WEBHOOKCRON_SECRET_KEY_FILE": "", "WEBHOOKCRON_API_KEY": ""}) == {}


def test_every_field_of_the_settings_is_filled_by_one_variable() -> None:
    assert sorted(variable.field for variable in VARIABLES) == sorted(
        field.name for field in fields(Settings)
    )


def test_the_listed_defaults_are_those_of_the_settings() -> None:
    defaults = {field.name: field.default for field in fields(Settings)}

    for variable in VARIABLES:
        if variable.default:
            assert variable.read(variable.default) == defaults[variable.field], variable.name


def test_the_readme_has_a_row_for_every_variable_and_no_other() -> None:
    text = (REPOSITORY / "README.md").read_text().partition("\n## Settings\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `([A-Z_]+)`[^|]*\|([^|]*)\|", text, re.MULTILINE))

    assert sorted(rows) == sorted(variable.name for variable in VARIABLES)
    for variable in VARIABLES:
        if variable.default:
            assert rows[variable.name].strip("` ") == variable.default, variable.name


def test_the_example_environment_names_every_variable_with_its_default() -> None:
    text = (REPOSITORY / ".env.example").read_text()
    named = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", text, re.MULTILINE))

    assert sorted(named) == sorted(variable.name for variable in VARIABLES)
    for variable in VARIABLES:
        if variable.default:
            assert named[variable.name] == variable.default, variable.name
