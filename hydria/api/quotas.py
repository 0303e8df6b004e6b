"""Quotas: how many resources of each kind a project may have. What enforces them is in the store."""

import re
from collections.abc import Mapping
from typing import Any, TypedDict

from hydria.api import query
from hydria.api.call import Answer, Call
from hydria.api.collection import Collection, Relations
from hydria.api.route import operation
from hydria.base.errors import Invalid
from hydria.model import field
from hydria.model.quota import DEPRECATED, LIMITED, Quota, limits
from hydria.store import quotas, resources

_OWNER = dict.fromkeys(("project_id", "tenant_id"), str)
_LIMITS = dict.fromkeys((*LIMITED.values(), *DEPRECATED), int)
Limits = TypedDict("Limits", {**_OWNER, **_LIMITS}, total=False)  # type: ignore[misc]


class Defaults(TypedDict):
    quota: Limits


class Quotas(Collection[Quota]):
    """A list has the projects with limits of their own; any project can be shown, with the limits that hold for it."""

    resource = Quota
    singular, plural, links = "quota", "quotas", "quotas_links"
    title, rule, older_names = "Quota", "quota", DEPRECATED

    def index(self, call: Call) -> Answer:
        answer = super().index(call)
        defaults = _spelled(self.defaults_of(call))
        for item in answer.content[self.plural]:
            item |= {name: defaults[name] for name, value in item.items() if value is None}
        return answer

    def defaults_of(self, call: Call) -> Mapping[str, int]:
        return limits(None, call.services.config.quotas)

    def show(self, call: Call) -> Answer:
        project_id = _project(call)
        call.authorize("quota:get_one", project_id)
        with call.services.database.read() as tx:
            quota = resources.get(tx, Quota, project_id)
        return self._shown(call, project_id, quota)

    @operation(summary="The limits of a project without limits of its own", answer=Defaults)
    def defaults(self, call: Call) -> Answer:
        project_id = _project(call) if "id" in call.path else call.caller.project_id
        call.authorize("quota:get_defaults", project_id)
        return self._shown(call, project_id or "", None)

    @operation(status=202)
    def update(self, call: Call) -> Answer:
        form = field.decode(field.update_form(Quota), _present(call.form(self.singular)))
        project_id = _project(call)
        call.authorize("quota:put", project_id)
        with call.services.database.write() as tx:
            quota = quotas.put(tx, project_id, field.given(Quota, form))
        return self._shown(call, project_id, quota, 202)

    @operation(status=202)
    def delete(self, call: Call) -> Answer:
        """Back to the defaults, where a project without limits of its own is already."""
        project_id = _project(call)
        call.authorize("quota:delete", project_id)
        with call.services.database.write() as tx:
            quotas.reset(tx, project_id)
        return Answer(status=202)

    def answer(self, row: Quota, relations: Relations) -> dict[str, Any]:
        return _spelled(super().answer(row, relations))

    def _shown(self, call: Call, project_id: str, quota: Quota | None, status: int = 200) -> Answer:
        row = Quota(project_id=project_id, **limits(quota, call.services.config.quotas))
        return Answer({self.singular: query.restricted(self.answer(row, {}), query.fields(call))}, status)


def _project(call: Call) -> str:
    """Any that could exist: the identity service is not asked. Raises Invalid."""
    form = field.decode(field.create_form(Quota), {"project_id": call.path["id"]})
    return str(field.given(Quota, form)["project_id"])


def _spelled(values: Mapping[str, Any]) -> dict[str, Any]:
    """With the older spellings beside the present ones."""
    return {**values, **{older: values[present] for older, present in DEPRECATED.items()}}


def _present(body: Mapping[str, Any]) -> dict[str, Any]:
    """In the present spelling. Numbers may be text: the official client sends them so."""
    values = {name: _number(value) for name, value in body.items()}
    for older, present in DEPRECATED.items():
        if older not in values:
            continue
        value = values.pop(older)
        if values.setdefault(present, value) != value:
            raise Invalid(f"{older} and {present} are the same attribute and must not differ.", field=older)
    return values


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,10}", value) else value
