"""Who may do what: oslo.policy with the rule names of Octavia, so that operators' policy files work here.

Rules are fixed when the process starts, and a decision depends on nothing but its arguments; so it is remembered.
"""

import functools
from pathlib import Path
from typing import Any, NamedTuple

from oslo_config import cfg
from oslo_policy import policy

from hydria.api.identity import Caller, Scope
from hydria.base import config
from hydria.base.config import ConfigError
from hydria.base.errors import Forbidden

PREFIX = "os_load-balancer_api"
_READ, _WRITE, _ADMIN = "rule:load-balancer:read", "rule:load-balancer:write", "rule:load-balancer:admin"
_READ_GLOBAL, _READ_QUOTA = "rule:load-balancer:read-global", "rule:load-balancer:read-quota"

_FOUNDATION = {
    # Operators' files spell it in either way; rules ask for it as `is_admin:True`, too.
    "context_is_admin": "role:admin",
    "context-is-admin": "rule:context_is_admin",
    "service": "role:service",
    "load-balancer:owner": "project_id:%(project_id)s",
    "project-member": "rule:load-balancer:owner and role:member",
    # Identity adds implied roles to a token (admin > member > reader); an identity service without them works too.
    "project-reader": "rule:load-balancer:owner and (role:reader or role:member)",
    "load-balancer:admin": "rule:context-is-admin",
    "load-balancer:global_observer": "rule:context-is-admin",
    "load-balancer:quota-admin": "rule:context-is-admin",
    "load-balancer:observer_and_owner": "rule:project-reader",
    "load-balancer:member_and_owner": "rule:project-member",
    "load-balancer:read": (
        "rule:load-balancer:admin or rule:load-balancer:global_observer or "
        "rule:load-balancer:member_and_owner or rule:load-balancer:observer_and_owner"
    ),
    "load-balancer:read-global": "rule:load-balancer:global_observer or rule:load-balancer:admin",
    "load-balancer:write": "rule:load-balancer:admin or rule:load-balancer:member_and_owner",
    "load-balancer:read-quota": (
        "rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer or "
        "rule:load-balancer:member_and_owner or rule:load-balancer:quota-admin or rule:load-balancer:admin"
    ),
    "load-balancer:read-quota-global": (
        "rule:load-balancer:global_observer or rule:load-balancer:quota-admin or rule:load-balancer:admin"
    ),
    "load-balancer:write-quota": "rule:load-balancer:quota-admin or rule:load-balancer:admin",
}

_OWNED = {
    "get_all": _READ,
    "get_all-global": _READ_GLOBAL,
    "get_one": _READ,
    "post": _WRITE,
    "put": _WRITE,
    "delete": _WRITE,
}
_OPERATORS = dict.fromkeys(("post", "put", "delete"), _ADMIN)
_READ_ONLY = {"get_all": _READ, "get_one": _READ}

_TABLE: dict[str, dict[str, str]] = {
    "loadbalancer": {
        **_OWNED,
        "get_stats": _READ,
        "get_status": _READ,
        "put_failover": _ADMIN,
        "post:vip_sg_ids": _WRITE,
        "put:vip_sg_ids": _WRITE,
    },
    "listener": {**_OWNED, "get_stats": _READ},
    "pool": _OWNED,
    "member": {**_OWNED, "get_all": f"{_READ} or rule:service"},
    "healthmonitor": _OWNED,
    "l7policy": _OWNED,
    "l7rule": _OWNED,
    "certificate": _OWNED,
    "amphora": {**dict.fromkeys(("get_all", "get_one", "get_stats", "delete", "put_config", "put_failover"), _ADMIN)},
    "provider": {"get_all": _READ},
    "provider-flavor": {"get_all": _ADMIN},
    "flavor": {**_READ_ONLY, **_OPERATORS},
    "provider-availability-zone": {"get_all": _ADMIN},
    "availability-zone": {**_READ_ONLY, **_OPERATORS},
    "availability-zone-profile": {"get_all": _ADMIN, "get_one": _ADMIN, **_OPERATORS},
    "quota": {
        **dict.fromkeys(("get_all", "get_one", "get_defaults"), _READ_QUOTA),
        "get_all-global": "rule:load-balancer:read-quota-global",
        **dict.fromkeys(("put", "delete"), "rule:load-balancer:write-quota"),
    },
    "flavor-profile": {"get_all": _ADMIN, "get_one": _ADMIN, **_OPERATORS},
}

DEFAULT_RULES = {
    **_FOUNDATION,
    **{f"{PREFIX}:{kind}:{verb}": rule for kind, verbs in _TABLE.items() for verb, rule in verbs.items()},
}


_SHIPPED = Path(__file__).parent / "policies"


class _Who(NamedTuple):
    """What a decision depends on; of two tokens of one user the same."""

    user_id: str
    project_id: str | None
    roles: tuple[str, ...]
    scope: Scope


class Policy:
    """The built-in rules, over them those of a shipped variant, over these an operator's own."""

    def __init__(
        self, policy_file: str | None = None, *, variant: config.PolicyVariant = "default", enforce_scope: bool = True
    ) -> None:
        self._scopes = _scopes(variant) if enforce_scope else frozenset(Scope)
        rules = policy.Rules.from_dict(DEFAULT_RULES)
        if variant != "default":
            rules.update(_load(_SHIPPED / f"{variant}.yaml"))
        if policy_file is not None:
            rules.update(_load(Path(policy_file)))
        settings = cfg.ConfigOpts()
        settings([], default_config_files=[], default_config_dirs=[])
        self._enforcer = policy.Enforcer(settings, use_conf=False)
        self._enforcer.set_rules(rules, use_conf=False)
        try:
            self._enforcer.check_rules(raise_on_violation=True)
        except policy.InvalidDefinitionError as error:
            raise ConfigError(f"policy file {policy_file}: {error}") from error
        self._decide = functools.lru_cache(maxsize=10_000)(self._evaluate)

    def allows(self, caller: Caller, rule: str, project_id: str | None) -> bool:
        """`rule` is <resource>:<verb>; `project_id` that of the object."""
        return self._decide(rule, _Who(caller.user_id, caller.project_id, caller.roles, caller.scope), project_id)

    def check(self, caller: Caller, rule: str, project_id: str | None) -> None:
        """Raises Forbidden."""
        if not self.allows(caller, rule, project_id):
            raise Forbidden("Policy does not allow this request to be performed.")

    def _evaluate(self, rule: str, who: _Who, project_id: str | None) -> bool:
        if who.scope not in self._scopes:
            return False
        credentials: dict[str, Any] = {"user_id": who.user_id, "roles": list(who.roles)}
        if who.project_id is not None:  # Else a missing project would equal an object's missing project.
            credentials |= {"project_id": who.project_id, "tenant_id": who.project_id}
        if who.scope is Scope.SYSTEM:
            credentials["system_scope"] = "all"
        target = {} if project_id is None else {"project_id": project_id, "tenant_id": project_id}
        credentials["is_admin"] = bool(self._enforcer.enforce("context-is-admin", target, credentials))
        return bool(self._enforcer.enforce(f"{PREFIX}:{rule}", target, credentials))


def _scopes(variant: config.PolicyVariant) -> frozenset[Scope]:
    """Of tokens that count: an admin of a domain, or of the system, is none of the projects'."""
    scoped = variant == "keystone_default_roles_scoped"
    return frozenset((Scope.PROJECT, Scope.SYSTEM) if scoped else (Scope.PROJECT,))


def _load(path: Path) -> policy.Rules:
    """Raises ConfigError."""
    try:
        return policy.Rules.load(path.read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"policy file {path}: {error}") from error
