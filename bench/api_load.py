"""The load: the same requests for any server of the Load Balancer API, and what each took. Starts no server."""

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import httpx
import msgspec
from api_servers import BenchFailed, Cpu, Target, cpu, endpoint, memory_mib

CLIENTS = 16
MEMBERS = 1000
BALANCERS = 1000
PATIENCE = 600.0
LOOP = {"first": 0.05, "share": 0.15}
"""How clients in a closed loop ask: seldom enough not to keep a slow server from its work."""
LISTENER = {"name": "l", "protocol": "HTTP", "protocol_port": 80}
POOL = {"name": "p", "protocol": "HTTP", "lb_algorithm": "ROUND_ROBIN"}
MONITOR = {"type": "HTTP", "delay": 5, "timeout": 3, "max_retries": 3, "url_path": "/"}


class Counts(msgspec.Struct, frozen=True):
    """How often each thing is done. A slow server is asked less often, and the page says so."""

    creates: int
    concurrent: int
    trees: int
    shows: int
    lists: int
    batches: int
    deletes: int
    balancers: int = BALANCERS
    members: int = MEMBERS


class Figure(msgspec.Struct):
    what: str
    unit: str
    values: list[float]
    """Of one thing done again and again; a rate has one value."""
    other: float
    """Share of the CPU that programs had meanwhile which belong to neither server nor bench."""


class Load:
    """One after the other, in the order of `run`: what an earlier step made is what a later one looks at."""

    def __init__(self, target: Target, counts: Counts, told: Callable[[str], None]) -> None:
        self._target, self._counts, self._told = target, counts, told
        url, token, self._project = endpoint(target)
        self._client = httpx.Client(
            base_url=f"{url}/v2/lbaas",
            headers={"X-Auth-Token": token},
            timeout=300,
            limits=httpx.Limits(max_connections=2 * CLIENTS, max_keepalive_connections=2 * CLIENTS),
            trust_env=False,
        )
        self._pause = threading.Event()
        self.figures: list[Figure] = []

    def run(self) -> list[Figure]:
        with self._client:
            self._warm_up()
            self._record("memory, idle", "MiB", [memory_mib(self._target)], 0.0)
            for step in (self._one_by_one, self._closed_loop, self._trees, self._fill, self._shows, self._lists):
                step()
            self._batches()
            self._deletes()
        return self.figures

    # Steps.

    def _warm_up(self) -> None:
        for _ in range(3):
            self._await_active(self._create("warm"))
        self._get("/loadbalancers")

    def _one_by_one(self) -> None:
        posts, totals = [], []
        with self._watched() as used:
            for number in range(self._counts.creates):
                began = time.perf_counter()
                id_ = self._create(f"seq-{number}")
                posts.append(_since(began))
                self._await_active(id_)
                totals.append(_since(began))
        self._record("create, one at a time: POST", "ms", posts, used.other)
        self._record("create, one at a time: until ACTIVE", "ms", totals, used.other)

    def _closed_loop(self) -> None:
        """Each client waits until its load balancer is ACTIVE before it creates the next one."""

        def one(number: int) -> None:
            self._await_active(self._create(f"loop-{number}"), **LOOP)

        with self._watched() as used:
            seconds = self._together(self._counts.concurrent, one)
        count = self._counts.concurrent
        self._record(f"create until ACTIVE, {CLIENTS} clients", "per second", [count / seconds], used.other)
        self._record("the same: CPU of the server for each", "ms", [used.server_ms / count], 0.0)

    def _trees(self) -> None:
        members = [{"address": f"192.0.2.{number}", "protocol_port": 80} for number in range(1, 11)]
        listener = {**LISTENER, "default_pool": {**POOL, "healthmonitor": MONITOR, "members": members}}
        posts, totals = [], []
        with self._watched() as used:
            for number in range(self._counts.trees):
                began = time.perf_counter()
                id_ = self._create(f"tree-{number}", listeners=[listener])
                posts.append(_since(began))
                self._await_active(id_)
                totals.append(_since(began))
        self._record("a whole tree with 10 members: POST", "ms", posts, used.other)
        self._record("a whole tree with 10 members: until ACTIVE", "ms", totals, used.other)

    def _fill(self) -> None:
        missing = self._counts.balancers - len(self._ids())
        self._together(missing, lambda number: self._create(f"fill-{number}"))
        self._until("all are ACTIVE", lambda: not self._get("/loadbalancers?provisioning_status=PENDING_CREATE"))

    def _shows(self) -> None:
        ids = itertools.cycle(self._ids())
        with self._watched() as used:
            times = [self._timed(f"/loadbalancers/{next(ids)}") for _ in range(self._counts.shows)]
        self._record("show", "ms", times, used.other)
        several = 2 * self._counts.shows
        chosen = list(itertools.islice(ids, several))
        with self._watched() as used:
            seconds = self._together(several, lambda number: self._get(f"/loadbalancers/{chosen[number]}"))
        self._record(f"show, {CLIENTS} clients", "per second", [several / seconds], used.other)

    def _lists(self) -> None:
        count = self._counts.balancers
        for what, query, expected in (
            (f"list of {count}", f"limit={count}", count),
            ("list of 100", "limit=100", min(100, count)),
            ("list by name", "name=seq-1", 1),
        ):
            if (found := len(self._get(f"/loadbalancers?{query}"))) != expected:
                raise BenchFailed(f"{self._target.name}: {what} gave {found}, not {expected}.")
            with self._watched() as used:
                times = [self._timed(f"/loadbalancers?{query}") for _ in range(self._counts.lists)]
            self._record(what, "ms", times, used.other)

    def _batches(self) -> None:
        id_ = self._create("batch", listeners=[{**LISTENER, "default_pool": POOL}])
        self._await_active(id_)
        (pool,) = self._get(f"/pools?loadbalancer_id={id_}")
        path = f"/pools/{pool['id']}/members"
        count = self._counts.members
        names = {"create": _members(count, 1), "change": _members(count, 2), "delete": []}
        taken: dict[str, tuple[list[float], list[float], list[float]]] = {name: ([], [], []) for name in names}
        for _ in range(self._counts.batches):
            for name, members in names.items():
                puts, totals, others = taken[name]
                with self._watched() as used:
                    began = time.perf_counter()
                    self._call("PUT", path, {"members": members})
                    puts.append(_since(began))
                    self._await_active(id_)
                    totals.append(_since(began) / 1000)
                others.append(used.other)
                if (found := len(self._get(f"{path}?limit={BALANCERS}"))) != len(members):
                    raise BenchFailed(f"{self._target.name}: after the batch there are {found} members.")
        for name, (puts, totals, others) in taken.items():
            self._record(f"batch of {count} members, {name}: PUT", "ms", puts, max(others))
            self._record(f"batch of {count} members, {name}: until ACTIVE", "s", totals, max(others))

    def _deletes(self) -> None:
        deletes, totals = [], []
        with self._watched() as used:
            for id_ in self._ids()[: self._counts.deletes]:
                began = time.perf_counter()
                self._call("DELETE", f"/loadbalancers/{id_}?cascade=true")
                deletes.append(_since(began))
                self._await("it is gone", lambda id_=id_: self._is_gone(id_))
                totals.append(_since(began))
        self._record("cascading delete: DELETE", "ms", deletes, used.other)
        self._record("cascading delete: until 404", "ms", totals, used.other)

    # Requests.

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        answer = self._client.request(method, path, json=body)
        if not answer.is_success:
            raise BenchFailed(f"{self._target.name}: {method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None

    def _get(self, path: str) -> Any:
        """What the answer holds under its first key."""
        return next(iter(self._call("GET", path).values()))

    def _timed(self, path: str) -> float:
        """Milliseconds until the whole answer is here, not yet decoded."""
        began = time.perf_counter()
        answer = self._client.get(path)
        took = _since(began)
        if not answer.is_success:
            raise BenchFailed(f"{self._target.name}: GET {path}: {answer.status_code} {answer.text[:300]}")
        return took

    def _create(self, name: str, **values: Any) -> str:
        """No-op drivers know any subnet."""
        body = {"name": name, "project_id": self._project, "vip_subnet_id": str(uuid.uuid4()), **values}
        id_: str = self._call("POST", "/loadbalancers", {"loadbalancer": body})["loadbalancer"]["id"]
        return id_

    def _ids(self) -> list[str]:
        return [item["id"] for item in self._get(f"/loadbalancers?fields=id&limit={BALANCERS}")]

    def _is_gone(self, id_: str) -> bool:
        return self._client.get(f"/loadbalancers/{id_}").status_code == 404

    def _await_active(self, id_: str, *, first: float = 0.005, share: float = 0.05) -> None:
        def active() -> bool:
            status = self._get(f"/loadbalancers/{id_}")["provisioning_status"]
            if status == "ERROR":
                raise BenchFailed(f"{self._target.name}: load balancer {id_} went to ERROR.")
            return bool(status == "ACTIVE")

        self._await(f"load balancer {id_} is ACTIVE", active, first=first, share=share)

    def _await(self, what: str, reached: Callable[[], bool], *, first: float = 0.005, share: float = 0.05) -> None:
        """Asks after `first` seconds, then whenever the time that passed has grown by `share`: so a slow server is
        asked less often, and the time is exact to that share for both.
        """
        began = time.perf_counter()
        while True:
            self._pause.wait(max(first, share * (time.perf_counter() - began)))
            if reached():
                return
            if time.perf_counter() - began > PATIENCE:
                raise BenchFailed(f"{self._target.name}: not within {PATIENCE:g} s: {what}.")

    def _until(self, what: str, reached: Callable[[], bool]) -> None:
        self._await(what, reached, first=0.25)

    def _together(self, count: int, work: Callable[[int], object]) -> float:
        """work(0) ... work(count - 1) by all clients; the seconds it took."""
        numbers = iter(range(count))
        lock = threading.Lock()

        def client() -> None:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                work(number)

        began = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as pool:
            for ended in [pool.submit(client) for _ in range(CLIENTS)]:
                ended.result()
        return time.perf_counter() - began

    # What is noted.

    def _record(self, what: str, unit: str, values: list[float], other: float) -> None:
        self.figures.append(Figure(what, unit, values, other))
        self._told(f"{self._target.name}: after {what}")

    def _watched(self) -> "Watched":
        return Watched(self._target)


class Watched:
    """`with ... as used`: afterwards it says what the server used of the CPU, and what went elsewhere."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.other = 0.0
        self.server_ms = 0.0

    def __enter__(self) -> Self:
        self._before: Cpu = cpu(self._target)
        return self

    def __exit__(self, *_: object) -> None:
        spent = cpu(self._target).since(self._before)
        self.other, self.server_ms = spent.other_share, spent.server * 1000


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


def _members(count: int, weight: int) -> list[dict[str, Any]]:
    addresses: Iterator[str] = (f"10.0.{number // 250}.{number % 250 + 1}" for number in range(count))
    return [{"address": address, "protocol_port": 80, "weight": weight} for address in addresses]
