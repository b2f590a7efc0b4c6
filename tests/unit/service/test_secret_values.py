"""Rotating signing secrets."""

from datetime import UTC, datetime, timedelta

from webhookcron.core.request_spec import SigningSecret
from webhookcron.service.secret_values import MAX_OLD_SECRETS, rotated_secrets

NOW = datetime(2030, 1, 15, tzinfo=UTC)
DAY = timedelta(days=1)


def test_the_old_secret_signs_on_until_it_expires() -> None:
    rotated = rotated_secrets([SigningSecret("old")], "new", now=NOW, expire_old_at=NOW + DAY)
    assert rotated == (SigningSecret("new"), SigningSecret("old", NOW + DAY))


def test_what_expires_earlier_still_does_and_what_expired_goes() -> None:
    present = [SigningSecret("b"), SigningSecret("a", NOW + DAY / 2), SigningSecret("gone", NOW)]
    rotated = rotated_secrets(present, "c", now=NOW, expire_old_at=NOW + DAY)
    assert [(s.secret, s.expires_at) for s in rotated] == [
        ("c", None),
        ("b", NOW + DAY),
        ("a", NOW + DAY / 2),
    ]


def test_no_overlap_drops_the_old_one_at_once() -> None:
    assert rotated_secrets([SigningSecret("old")], "new", now=NOW, expire_old_at=NOW) == (
        SigningSecret("new"),
    )


def test_signatures_do_not_pile_up() -> None:
    present: tuple[SigningSecret, ...] = (SigningSecret("0"),)
    for number in range(20):
        present = rotated_secrets(present, str(number), now=NOW, expire_old_at=NOW + DAY)
    assert len(present) == 1 + MAX_OLD_SECRETS
