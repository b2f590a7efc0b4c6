"""Accounts, logins, API keys and the audit trail on the wire."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from webhookcron.api.schema_base import BaseSchema, Flag, Moment, Text, Word, length, said
from webhookcron.service.accounts import MAX_EMAIL, MAX_NAME
from webhookcron.service.passwords import MAX_LENGTH, MIN_LENGTH
from webhookcron.service.principals import Role, Scope

EXAMPLE_EMAIL = "ann@example.com"
EXAMPLE_PASSWORD = "correct horse battery"

_PASSWORD = f"{MIN_LENGTH} to {MAX_LENGTH} characters"


def email(**options: Any) -> Text:
    """A field for an address."""
    return Text(
        validate=length(1, MAX_EMAIL + 20),
        metadata=said("Its e-mail address, in any case of letters", EXAMPLE_EMAIL),
        **options,
    )


def given_password(**options: Any) -> Text:
    """A field for a password that is to be right."""
    # Nothing about it is judged here: what cannot be a password of anyone is wrong like any other.
    return Text(
        lines=True, validate=length(1, 5_000), metadata=said("Its password", EXAMPLE_PASSWORD), **options
    )


def new_password(**options: Any) -> Text:
    """A field for a password that is to be set."""
    return Text(validate=length(1, 5_000), metadata=said(_PASSWORD, EXAMPLE_PASSWORD), **options)


class CredentialsSchema(BaseSchema):
    """Address and password."""

    email = email(required=True)
    password = given_password(required=True)


class RegistrationSchema(BaseSchema):
    """A new account."""

    email = email(required=True)
    password = new_password(required=True)
    name = Text(load_default="", validate=length(0, MAX_NAME), metadata=said("Whose it is", "Ann"))


class RefreshSchema(BaseSchema):
    """A refresh token."""

    refresh_token = Text(
        required=True, validate=length(1, 500), metadata=said("The one that was given last; good once")
    )


class LogoutSchema(BaseSchema):
    """Which logins to end."""

    body_optional = True

    everywhere = Flag(load_default=False, metadata=said("true ends all logins of the account"))


class PasswordChangeSchema(BaseSchema):
    """A new password."""

    current_password = given_password(required=True)
    new_password = new_password(required=True)


class UserSchema(BaseSchema):
    """An account."""

    id = ma.fields.String(required=True, metadata=said("What `ownerId` of jobs and logs names"))
    email = ma.fields.String(required=True, allow_none=True, metadata=said("null = cannot log in"))
    name = ma.fields.String(required=True)
    role = Word(Role, required=True, metadata=said("admin, member or viewer"))
    is_active = ma.fields.Boolean(required=True, metadata=said("false: its logins and keys are refused"))
    created_at = Moment(allow_none=True)
    last_login_at = Moment(allow_none=True)


class LoggedInSchema(BaseSchema):
    """A login."""

    access_token = ma.fields.String(required=True, metadata=said("For `Authorization: Bearer …`"))
    access_expires_at = Moment(required=True)
    refresh_token = ma.fields.String(
        required=True, metadata=said("Gives new tokens once, at /api/auth/refresh")
    )
    refresh_expires_at = Moment(required=True)
    user = ma.fields.Nested(UserSchema, required=True)


class MeSchema(BaseSchema):
    """The caller."""

    user = ma.fields.Nested(UserSchema, required=True)
    scopes = ma.fields.List(Word(Scope), required=True, metadata=said("What the credential in use may do"))
    key_id = ma.fields.String(allow_none=True, metadata=said("The API key in use; null for a login"))


class CreateUserSchema(BaseSchema):
    """A new account."""

    email = email(required=True)
    name = Text(load_default="", validate=length(0, MAX_NAME), metadata=said("Whose it is", "Bob"))
    role = Word(Role, load_default=Role.MEMBER.value, metadata=said("Default: member"))
    password = Text(
        allow_none=True, load_default=None, metadata=said(f"{_PASSWORD}; one is made when left out")
    )


class CreatedUserSchema(UserSchema):
    """A new account."""

    password = ma.fields.String(metadata=said("The one that was made; not shown again"))


class PatchUserSchema(BaseSchema):
    """Fields to change."""

    email = email()
    name = Text(validate=length(0, MAX_NAME))
    role = Word(Role)
    is_active = Flag()
    password = new_password()


class UserListSchema(BaseSchema):
    """A page of accounts."""

    items = ma.fields.List(ma.fields.Nested(UserSchema), required=True)
    page = ma.fields.Integer(required=True)
    limit = ma.fields.Integer(required=True)
    total = ma.fields.Integer(required=True)


class CreateApiKeySchema(BaseSchema):
    """A new API key."""

    name = Text(required=True, validate=length(1, MAX_NAME), metadata=said("What it is for", "deployment"))
    scopes = ma.fields.List(
        Word(Scope),
        required=True,
        validate=ma.validate.Length(1, len(Scope), error="must name at least one scope"),
        metadata=said("What it may do", ["read", "write"]),
    )
    expires_at = Moment(allow_none=True, load_default=None, metadata=said("When it ends; null = never"))

    @ma.post_load
    def without_doubles(self, data: dict[str, object], **_: object) -> dict[str, object]:
        """Each scope once."""
        return {**data, "scopes": sorted(set(data["scopes"]))}  # type: ignore[call-overload]


class ApiKeySchema(BaseSchema):
    """An API key, without the key."""

    id = ma.fields.String(required=True)
    name = ma.fields.String(required=True)
    scopes = ma.fields.List(ma.fields.String(), required=True)
    created_at = Moment(required=True)
    expires_at = Moment(allow_none=True)
    last_used_at = Moment(allow_none=True, metadata=said("To the minute"))


class CreatedApiKeySchema(ApiKeySchema):
    """A new API key."""

    key = ma.fields.String(required=True, metadata=said("`whk_…`; not shown again"))


class ApiKeyListSchema(BaseSchema):
    """All keys of the caller."""

    items = ma.fields.List(ma.fields.Nested(ApiKeySchema), required=True)


class AuditEntrySchema(BaseSchema):
    """One thing that someone did."""

    id = ma.fields.String(required=True)
    at = Moment(required=True)
    user_id = ma.fields.String(allow_none=True, metadata=said("null = nobody known: a login that failed"))
    key_id = ma.fields.String(allow_none=True, metadata=said("The API key in use; null for a login"))
    address = ma.fields.String(allow_none=True, metadata=said("Where the request came from", "192.0.2.7"))
    action = ma.fields.String(required=True, metadata=said("resource.verb", "job.create"))
    resource_id = ma.fields.String(allow_none=True)
    resource_name = ma.fields.String(allow_none=True)
    details = ma.fields.Dict(required=True)


class AuditListSchema(BaseSchema):
    """A page of the audit trail."""

    items = ma.fields.List(ma.fields.Nested(AuditEntrySchema), required=True)
    page = ma.fields.Integer(required=True)
    limit = ma.fields.Integer(required=True)
    total = ma.fields.Integer(required=True)
