"""The body of POST /auth/tokens. Knows nobody."""

from typing import Literal

import msgspec
from msgspec import Struct, field

from hydria.base.errors import Invalid
from hydria.cloud.identity.resources import DOMAIN_ID, DOMAIN_NAME


class DomainReference(Struct):
    id: str | None = None
    name: str | None = None

    @property
    def known(self) -> bool:
        return self.id == DOMAIN_ID if self.id is not None else self.name == DOMAIN_NAME


class UserReference(Struct):
    id: str | None = None
    name: str | None = None
    domain: DomainReference | None = None
    password: str = ""


class PasswordMethod(Struct):
    user: UserReference


class ApplicationCredentialMethod(Struct):
    secret: str
    id: str | None = None
    name: str | None = None
    user: UserReference | None = None


class TokenMethod(Struct):
    id: str


class Methods(Struct):
    methods: list[str]
    password: PasswordMethod | None = None
    application_credential: ApplicationCredentialMethod | None = None
    token: TokenMethod | None = None


class ProjectReference(Struct):
    id: str | None = None
    name: str | None = None
    domain: DomainReference | None = None


class Scope(Struct):
    project: ProjectReference | None = None
    unscoped: object = None


class Login(Struct):
    identity: Methods
    scope: Scope | Literal["unscoped"] | None = None

    @property
    def project(self) -> ProjectReference | None:
        return self.scope.project if isinstance(self.scope, Scope) else None

    @property
    def unscoped(self) -> bool:
        """Asked for: not even the user's default project."""
        return self.scope == "unscoped" or (isinstance(self.scope, Scope) and self.scope.unscoped is not None)


class _Body(Struct):
    auth: Login = field()


def parse(body: bytes) -> Login:
    """Raises Invalid."""
    try:
        login = msgspec.json.decode(body, type=_Body).auth
    except msgspec.DecodeError as error:
        raise Invalid(f"Expecting to find a valid login in the body: {error}") from error
    if not login.identity.methods:
        raise Invalid("Expecting to find at least one of 'methods' in identity.", field="methods")
    for method in login.identity.methods:
        if getattr(login.identity, method, None) is None:
            raise Invalid(f"Expecting to find {method} in identity.", field=method)
    return login
