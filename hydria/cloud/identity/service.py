"""The identity service's books: projects, users, roles, assignments, application credentials. Knows no HTTP."""

import contextlib
import secrets
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from msgspec import Struct
from sqlalchemy import Connection, and_, select
from sqlalchemy.exc import IntegrityError

from hydria.base.config import Cloud
from hydria.base.errors import Invalid
from hydria.cloud.database import Database
from hydria.cloud.identity import catalog, resources
from hydria.cloud.identity.authentication import Authentication
from hydria.cloud.identity.errors import duplicate, missing
from hydria.cloud.identity.login import Login, Methods, PasswordMethod, UserReference
from hydria.cloud.identity.passwords import hash_password
from hydria.cloud.identity.resources import ApplicationCredential, Project, Role, User
from hydria.cloud.identity.tokens import stamp, utc_now
from hydria.cloud.resource import changed, stored_names
from hydria.cloud.rows import Rows

R = TypeVar("R", bound=Struct)


def new_id() -> str:
    """Identity writes its ids without dashes."""
    return uuid.uuid4().hex


class Records(Generic[R]):
    """One kind of resource: projects, users or roles."""

    def __init__(self, identity: "Identity", kind: str, rows: Rows[R]) -> None:
        self._identity = identity
        self.kind = kind
        self.rows = rows

    def list(self, query: Mapping[str, Sequence[str]]) -> list[R]:
        """`query` has the filters: name, domain_id, enabled and whatever else is a plain attribute."""
        known = set(stored_names(self.rows.resource))
        filters = {
            name: [_boolean(value) for value in values] if name in {"enabled", "is_domain"} else values
            for name, values in query.items()
            if name in known
        }
        with self._identity.database.read() as connection:
            return self.rows.select(connection, filters)

    def get(self, id_: str) -> R:
        with self._identity.database.read() as connection:
            return self._find(connection, id_)

    def find(self, name: str) -> R | None:
        return next(iter(self.list({"name": [name]})), None)

    def create(self, values: Mapping[str, Any]) -> R:
        if not values.get("name"):
            raise Invalid(f"Invalid input for field 'name': a {self.kind} needs one.", field="name")
        record = changed(self.rows.resource(id=new_id(), name=""), values)
        with self._identity.changing() as connection:
            self._domain_exists(values)
            with self._unique(values["name"]):
                self.rows.insert(connection, record)
        return record

    def update(self, id_: str, values: Mapping[str, Any]) -> R:
        with self._identity.changing() as connection:
            record = changed(self._find(connection, id_), values)
            with self._unique(values.get("name", "")):
                self.rows.replace(connection, record)
        return record

    def delete(self, id_: str) -> None:
        with self._identity.changing() as connection:
            if not self.rows.delete(connection, id_):
                raise missing(self.kind, id_)

    def _find(self, connection: Connection, id_: str) -> R:
        record = self.rows.get(connection, id_)
        if record is None:
            raise missing(self.kind, id_)
        return record

    def _domain_exists(self, values: Mapping[str, Any]) -> None:
        domain = values.get("domain_id")
        if domain not in {None, resources.DOMAIN_ID}:
            raise missing("domain", str(domain))

    @contextlib.contextmanager
    def _unique(self, name: str) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise duplicate(self.kind, name) from error


class Identity:
    def __init__(self, config: Cloud, database: Database) -> None:
        self.config = config
        self.database = database
        self.services = catalog.services(config)
        self.projects = Records(self, "project", Rows(resources.projects, Project))
        self.users = Records(self, "user", Rows(resources.users, User))
        self.roles = Records(self, "role", Rows(resources.roles, Role))
        self.authentication = Authentication(config, database, catalog.in_token(self.services))

    @contextlib.contextmanager
    def changing(self) -> Iterator[Connection]:
        """A transaction after which no token is believed without looking again."""
        with self.database.begin() as connection:
            yield connection
        self.authentication.forget()

    def create_user(self, values: Mapping[str, Any], password: str | None) -> User:
        with self.changing():
            user = self.users.create(values)
            if password is not None:
                self.set_password(user.id, password)
        return user

    def update_user(self, user_id: str, values: Mapping[str, Any], password: str | None) -> User:
        with self.changing():
            user = self.users.update(user_id, values)
            if password is not None:
                self.set_password(user_id, password)
        return user

    def set_password(self, user_id: str, password: str) -> None:
        table, hashed = resources.passwords, hash_password(password)
        with self.changing() as connection:
            connection.execute(table.delete().where(table.c.user_id == user_id))
            connection.execute(table.insert().values(user_id=user_id, hash=hashed, changed_at=stamp(utc_now())))

    def change_password(self, user_id: str, old: str, new: str) -> None:
        """By the user himself. Raises Unauthorized."""
        reference = UserReference(id=user_id, password=old)
        self.authentication.login(Login(Methods(["password"], password=PasswordMethod(reference)), "unscoped"))
        self.set_password(user_id, new)

    def assign(self, project_id: str, user_id: str, role_id: str) -> None:
        """May run twice."""
        table = resources.role_assignments
        with self.changing() as connection:
            self.projects.get(project_id), self.users.get(user_id), self.roles.get(role_id)
            if not self.assignments(project_id, user_id, role_id):
                connection.execute(table.insert().values(project_id=project_id, user_id=user_id, role_id=role_id))

    def withdraw(self, project_id: str, user_id: str, role_id: str) -> None:
        table = resources.role_assignments
        with self.changing() as connection:
            where = and_(table.c.project_id == project_id, table.c.user_id == user_id, table.c.role_id == role_id)
            if connection.execute(table.delete().where(where)).rowcount == 0:
                raise missing("role assignment", f"with role {role_id}, user {user_id}, project {project_id}")

    def assignments(
        self, project_id: str | None = None, user_id: str | None = None, role_id: str | None = None
    ) -> list[tuple[str, str, str]]:
        """(project, user, role) of each."""
        table = resources.role_assignments
        wanted = {"project_id": project_id, "user_id": user_id, "role_id": role_id}
        where = [table.c[name] == value for name, value in wanted.items() if value is not None]
        with self.database.read() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(select(table).where(*where))]

    def application_credentials(self, user_id: str, name: str | None = None) -> list[ApplicationCredential]:
        filters = {"user_id": [user_id]} | ({"name": [name]} if name else {})
        with self.database.read() as connection:
            return self._application_credentials.select(connection, filters)

    def application_credential(self, user_id: str, id_: str) -> ApplicationCredential:
        for credential in self.application_credentials(user_id):
            if credential.id == id_:
                return credential
        raise missing("Application Credential", id_)

    def create_application_credential(
        self, *, user_id: str, project_id: str, held: Sequence[Role], secret: str | None, values: Mapping[str, Any]
    ) -> tuple[ApplicationCredential, str]:
        """The credential and its secret, which nobody can read again. `held`: the roles its creator has."""
        if not values.get("name"):
            raise Invalid("Invalid input for field 'name': an application credential needs one.", field="name")
        granted = _chosen(held, values.get("roles") or [])
        secret = secret or secrets.token_urlsafe(64)
        credential = ApplicationCredential(id=new_id(), name="", user_id=user_id, project_id=project_id)
        expires_at = _moment(values.get("expires_at"))
        credential = changed(
            credential,
            {**values, "expires_at": expires_at, "roles": [{"id": role.id, "name": role.name} for role in granted]},
        )
        table, hashed = resources.application_credential_secrets, hash_password(secret)
        with self.changing() as connection:
            try:
                self._application_credentials.insert(connection, credential)
            except IntegrityError as error:
                raise duplicate("application_credential", credential.name) from error
            connection.execute(table.insert().values(application_credential_id=credential.id, hash=hashed))
        return credential, secret

    def delete_application_credential(self, user_id: str, id_: str) -> None:
        with self.changing() as connection:
            self.application_credential(user_id, id_)
            self._application_credentials.delete(connection, id_)

    _application_credentials = Rows(resources.application_credentials, ApplicationCredential)


def _chosen(held: Sequence[Role], wanted: Sequence[Mapping[str, Any]]) -> Sequence[Role]:
    """The roles of a new credential: those asked for, which its creator must have, else all of his."""
    if not wanted:
        return held
    chosen = [role for role in held for want in wanted if role.id == want.get("id") or role.name == want.get("name")]
    if len(chosen) != len(wanted):
        raise Invalid("Invalid application credential: Could not find role assignment of a role that was asked for.")
    return chosen


def _moment(text: str | None) -> str | None:
    """In the one spelling that the books use; without a zone it is UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(f"Invalid input for field 'expires_at': '{text}' is not a time.", field="expires_at") from error
    return stamp(moment.astimezone(UTC) if moment.tzinfo else moment)


def _boolean(text: str) -> bool:
    return text.lower() not in {"false", "0", "no"}
