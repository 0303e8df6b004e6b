"""Compute flavors: sizes, extra specs, and who may use a private one."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, field

from hydria.base.errors import Conflict, Invalid, NotFound
from hydria.cloud.compute.form import Form, Name
from hydria.cloud.compute.resources import Flavor, flavors
from hydria.cloud.context import Context
from hydria.cloud.database import Database
from hydria.cloud.resource import new_id

Size = Annotated[int, Meta(ge=0, le=2147483647)]
ExtraSpecs = dict[
    Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[a-zA-Z0-9-_:. ]{1,255}$")],
    Annotated[str, Meta(max_length=255)],
]


class CreateFlavor(Form):
    name: Name
    ram: Annotated[int, Meta(ge=1, le=2147483647)]
    vcpus: Annotated[int, Meta(ge=1, le=2147483647)]
    disk: Size
    id: str | None = None
    ephemeral: Size = field(name="OS-FLV-EXT-DATA:ephemeral", default=0)
    swap: Size | str = 0
    rxtx_factor: float = 1.0
    is_public: bool = field(name="os-flavor-access:is_public", default=True)
    description: Annotated[str, Meta(max_length=65535)] | None = None


class UpdateFlavor(Form):
    description: Annotated[str, Meta(max_length=65535)] | None


class Access(Form):
    tenant: Annotated[str, Meta(min_length=1)]


def not_found(flavor_id: str) -> NotFound:
    return NotFound(f"Flavor {flavor_id} could not be found.")


class Flavors:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, context: Context, flavor_id: str) -> Flavor:
        """Administrators see every flavor. Raises NotFound."""
        with self._database.read() as connection:
            flavor = flavors.get(connection, flavor_id)
        if flavor is None or not (context.is_admin or usable(flavor, context.project_id)):
            raise not_found(flavor_id)
        return flavor

    def usable(self, context: Context, flavor_id: str) -> Flavor:
        """For a new server of the caller's project. Being an administrator does not open a private flavor.

        Raises Invalid, as Nova answers a create request.
        """
        with self._database.read() as connection:
            flavor = flavors.get(connection, flavor_id)
        if flavor is None or not usable(flavor, context.project_id):
            raise Invalid(not_found(flavor_id).message, field="flavorRef")
        return flavor

    def all(self, context: Context, is_public: bool | UnsetType | None = UNSET) -> list[Flavor]:
        """`is_public`: administrators choose (None: all), others get what they may use."""
        with self._database.read() as connection:
            found = flavors.select(connection)
        if not context.is_admin:
            return [flavor for flavor in found if usable(flavor, context.project_id)]
        if is_public is UNSET:
            return [flavor for flavor in found if usable(flavor, context.project_id)]
        return [flavor for flavor in found if is_public is None or flavor.is_public == is_public]

    def create(self, context: Context, form: CreateFlavor) -> Flavor:
        context.require_admin("os_compute_api:os-flavor-manage:create")
        if not isinstance(form.swap, int) and form.swap not in {"", "0"}:
            raise Invalid(f"Invalid input for field/attribute swap. Value: {form.swap}.", field="swap")
        flavor = Flavor(
            id=new_id() if not form.id or form.id == "auto" else form.id,
            name=form.name,
            ram=form.ram,
            disk=form.disk,
            vcpus=form.vcpus,
            ephemeral=form.ephemeral,
            swap=int(form.swap or 0),
            rxtx_factor=form.rxtx_factor,
            is_public=form.is_public,
            description=form.description,
            access=[context.project_id] if not form.is_public and context.project_id else [],
        )
        with self._database.begin() as connection:
            if flavors.get(connection, flavor.id) is not None:
                raise Conflict(f"Flavor with ID {flavor.id} already exists.")
            if flavors.select(connection, {"name": [flavor.name]}):
                raise Conflict(f"Flavor with name {flavor.name} already exists.")
            flavors.insert(connection, flavor)
        return flavor

    def update(self, context: Context, flavor_id: str, form: UpdateFlavor) -> Flavor:
        context.require_admin("os_compute_api:os-flavor-manage:update")
        return self._change(context, flavor_id, description=form.description)

    def delete(self, context: Context, flavor_id: str) -> None:
        context.require_admin("os_compute_api:os-flavor-manage:delete")
        with self._database.begin() as connection:
            if not flavors.delete(connection, flavor_id):
                raise not_found(flavor_id)

    def set_extra_specs(self, context: Context, flavor_id: str, specs: ExtraSpecs) -> Flavor:
        context.require_admin("os_compute_api:os-flavor-extra-specs:create")
        with self._database.begin():
            flavor = self.get(context, flavor_id)
            return self._change(context, flavor_id, extra_specs={**flavor.extra_specs, **specs})

    def delete_extra_spec(self, context: Context, flavor_id: str, key: str) -> None:
        context.require_admin("os_compute_api:os-flavor-extra-specs:delete")
        with self._database.begin():
            specs = dict(self.get(context, flavor_id).extra_specs)
            if specs.pop(key, None) is None:
                raise NotFound(f"Flavor {flavor_id} has no extra specs with key {key}.")
            self._change(context, flavor_id, extra_specs=specs)

    def access(self, context: Context, flavor_id: str) -> Flavor:
        context.require_admin("os_compute_api:os-flavor-access")
        flavor = self.get(context, flavor_id)
        if flavor.is_public:
            raise NotFound("Access list not available for public flavors.")
        return flavor

    def add_access(self, context: Context, flavor_id: str, project_id: str) -> Flavor:
        context.require_admin("os_compute_api:os-flavor-access:add_tenant_access")
        with self._database.begin():
            flavor = self.get(context, flavor_id)
            if flavor.is_public:
                raise Conflict("Can not add access to a public flavor.")
            if project_id in flavor.access:
                raise Conflict(
                    f"Flavor access already exists for flavor {flavor_id} and project {project_id} combination."
                )
            return self._change(context, flavor_id, access=[*flavor.access, project_id])

    def remove_access(self, context: Context, flavor_id: str, project_id: str) -> Flavor:
        context.require_admin("os_compute_api:os-flavor-access:remove_tenant_access")
        with self._database.begin():
            flavor = self.get(context, flavor_id)
            if project_id not in flavor.access:
                raise NotFound(f"Flavor access not found for {flavor_id} / {project_id} combination.")
            return self._change(context, flavor_id, access=[id_ for id_ in flavor.access if id_ != project_id])

    def _change(self, context: Context, flavor_id: str, **values: Any) -> Flavor:
        with self._database.begin() as connection:
            flavor = self.get(context, flavor_id)
            for name, value in values.items():
                setattr(flavor, name, value)
            flavors.replace(connection, flavor)
        return flavor


def usable(flavor: Flavor, project_id: str | None) -> bool:
    return flavor.is_public or project_id in flavor.access
