"""What operators do at random while projects use the API: quotas, availability zones and their profiles.

Each step knows from the rows what the answer must be. Nobody else may write meanwhile.
"""

from collections.abc import Callable
from typing import Any

from api_world import World
from tenants import Pick, Row, snapshot
from tenants_quotas import KINDS, OLDER, PROJECTS, UNLIMITED, Limits, bad_changes, counted

HERE = "rack-1"
"""A zone of the cloud's computers."""
ZONES = ("east", "west")
PATHS = {"availability_zone": "/availabilityzones", "availability_zone_profile": "/availabilityzoneprofiles"}
BAD = tuple(bad_changes())


class Operator:
    def __init__(self, world: World, pick: Pick, limits: Limits) -> None:
        self._world = world
        self._pick = pick
        self.limits = limits
        self.in_use: set[str] = set()
        """Of what one could not be deleted because others rest on it."""
        self.steps: tuple[Callable[[str], Any], ...] = (
            self.put_quota,
            self.put_quota,
            self.put_bad_quota,
            self.delete_quota,
            self.create_profile,
            self.create_zone,
            self.create_zone,
            self.change_zone,
            self.change_profile,
            self.delete_zone,
            self.delete_zone,
            self.delete_profile,
        )

    def step(self, who: str) -> Any:
        """None: there was nothing to do it to."""
        return self._pick(self.steps)(who)

    def begin(self) -> None:
        """A zone that load balancers can be in."""
        profile = {"name": "a", "provider_name": "amphora", "availability_zone_data": "{}"}
        made = self._world.post("/availabilityzoneprofiles", {"availability_zone_profile": profile}, who="admin")
        zone = {"name": self._pick(ZONES), "availability_zone_profile_id": made["id"]}
        self._world.post("/availabilityzones", {"availability_zone": zone}, who="admin")

    def put_quota(self, who: str) -> Any:
        """Near what the project has, so that it soon has enough."""
        project = self._pick(PROJECTS)
        there = counted(snapshot(self._world), project)
        changes: dict[str, int | None] = {}
        for table in (self._pick(tuple(KINDS)), self._pick(tuple(KINDS))):
            near = [max(there[table] + more, UNLIMITED) for more in (-1, 0, 1, 2)]
            changes[KINDS[table].limit] = self._pick((*near, *near, UNLIMITED, None))
        return self.set_limits(project, changes, who)

    def set_limits(self, project: str, changes: dict[str, int | None], who: str = "admin") -> Any:
        body = {}
        for name, number in changes.items():
            body[self._pick((name, OLDER.get(name, name)))] = (
                number if number is None else self._pick((number, str(number)))
            )
        answer = self._world.call("PUT", f"/quotas/{project}", {"quota": body}, who=who)
        if self._allowed(answer, who):
            self.limits.put(project, changes)
            assert self._world.done(answer, 202) == self.limits.shown(project)
        return answer

    def put_bad_quota(self, who: str) -> Any:
        answer = self._world.call("PUT", f"/quotas/{self._pick(PROJECTS)}", {"quota": self._pick(BAD)}, who=who)
        assert answer.status_code == 400
        return answer

    def delete_quota(self, who: str) -> Any:
        """Of none, it is as good."""
        project = self._pick(PROJECTS)
        answer = self._world.call("DELETE", f"/quotas/{project}", who=who)
        if self._allowed(answer, who):
            assert answer.status_code == 202
            self.limits.reset(project)
        return answer

    def create_profile(self, who: str) -> Any:
        network = self._world.cloud.network(self._pick(("public", "members")))
        assert network is not None
        data = self._pick(("{}", f'{{"compute_zone": "{HERE}"}}', f'{{"valid_vip_networks": ["{network.id}"]}}'))
        bad = {'{"compute_zone": "nowhere"}': 400, "{": 400, '{"amphora": 1}': 501}
        data = self._pick((*[data] * 6, *bad))
        body = {"name": "a", "provider_name": "amphora", "availability_zone_data": data}
        return self._create("availability_zone_profile", body, who, bad.get(data, 201))

    def create_zone(self, who: str) -> Any:
        rows = snapshot(self._world)
        profile = self._pick(("00000000-0000-4000-8000-000000000000", *self._there("availability_zone_profile") * 3))
        name = self._pick(ZONES)
        status = 400 if profile not in rows["availability_zone_profile"] else 201
        status = 409 if status == 201 and name in rows["availability_zone"] else status
        body = {"name": name, "availability_zone_profile_id": profile}
        return self._create("availability_zone", body, who, status)

    def _create(self, table: str, body: Row, who: str, status: int) -> Any:
        return self._expect(self._world.call("POST", PATHS[table], {table: body}, who=who), who, status)

    def change_zone(self, who: str) -> Any:
        body = {"enabled": self._pick((True, True, False)), "description": self._pick(("", "d"))}
        return self._of_one("availability_zone", who, body, lambda _: 200)

    def change_profile(self, who: str) -> Any:
        body = self._pick(({"name": "b"}, {"availability_zone_data": "{}"}))
        status = lambda id_: 409 if "name" not in body and self._rests_on(id_) else 200  # noqa: E731 - short
        return self._of_one("availability_zone_profile", who, body, status)

    def delete_zone(self, who: str) -> Any:
        """Not while a load balancer is in it, be it one that is being deleted."""
        return self._of_one("availability_zone", who, None, lambda name: 409 if name in self._used() else 204)

    def delete_profile(self, who: str) -> Any:
        return self._of_one("availability_zone_profile", who, None, lambda id_: 409 if self._rests_on(id_) else 204)

    def _used(self) -> set[str]:
        return {row["availability_zone"] for row in snapshot(self._world)["load_balancer"].values()}

    def _rests_on(self, profile: str) -> bool:
        zones = snapshot(self._world)["availability_zone"].values()
        return any(row["availability_zone_profile_id"] == profile for row in zones)

    def _of_one(self, table: str, who: str, body: Row | None, status: Callable[[str], int]) -> Any:
        """PUT of `body`, or DELETE."""
        there = self._there(table)
        if not there:
            return None
        key = self._pick(there)
        expected = status(key)
        if (who, body, expected) == ("admin", None, 409):
            self.in_use.add(table)
        method, wrapped = ("DELETE", None) if body is None else ("PUT", {table: body})
        return self._expect(self._world.call(method, f"{PATHS[table]}/{key}", wrapped, who=who), who, expected)

    def _there(self, table: str) -> tuple[str, ...]:
        """In an order that does not depend on their ids."""
        rows = snapshot(self._world)[table]
        return tuple(sorted(rows, key=lambda key: rows[key].get("created_at", key)))

    def _expect(self, answer: Any, who: str, status: int) -> Any:
        if self._allowed(answer, who):
            assert answer.status_code == status, answer.text
        return answer

    def _allowed(self, answer: Any, who: str) -> bool:
        """Only to administrators. What no request may say is refused before it is asked who says it."""
        if who != "admin":
            assert answer.status_code in (400, 403), answer.text
        return who == "admin"
