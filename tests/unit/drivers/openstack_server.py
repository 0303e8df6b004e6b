"""An HTTP server that answers as it is told to, and as Keystone does by itself."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from hydria.drivers.cloud import SecurityGroupRule

Answer = tuple[int, object]
"""Status and what goes as JSON; bytes go as they are."""

NETWORK, PORT, SERVER = (f"{number}{'0' * 7}-0000-4000-8000-000000000000" for number in (1, 2, 3))
PORT_BODY = {
    "id": PORT,
    "network_id": NETWORK,
    "name": "octavia-lb-vrrp-1",
    "mac_address": "fa:16:3e:00:00:01",
    "fixed_ips": [{"subnet_id": "s", "ip_address": "203.0.113.5"}],
    "binding:vnic_type": "direct",
    "device_id": "",
    "device_owner": "Octavia",
    "status": "DOWN",
    "project_id": "p",
    "qos_policy_id": None,
    "allowed_address_pairs": [{"ip_address": "203.0.113.9", "mac_address": "fa:16:3e:00:00:01"}],
    "created_at": "2026-01-01T00:00:00Z",
}

GROUPS, RULES = "/networking/v2.0/security-groups", "/networking/v2.0/security-group-rules"
WEB = SecurityGroupRule(
    ethertype="IPv4", protocol="tcp", port_range_min=80, port_range_max=80, remote_ip_prefix="192.0.2.0/24"
)


def neutron(kind: str) -> object:
    return {"NeutronError": {"type": kind, "message": "what Neutron said", "detail": ""}}


def nova(kind: str) -> object:
    return {kind: {"code": 400, "message": "what Nova said"}}


class OpenStack(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, list[Answer]] = {}
        """"METHOD /path" → answers, the last one for ever."""
        self.requests: list[tuple[str, dict[str, list[str]], object]] = []
        self.microversions: list[str | None] = []
        self.accepted: list[str | None] = []
        self.tokens: list[str] = []
        """Of those requests."""
        self.logins = 0
        self.services = {"compute": "/compute/v2.1", "network": "/networking", "image": "/image"}
        """Of the catalogue."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def says(self, request: str, *answers: Answer) -> None:
        self.answers[request] = list(answers)

    def last(self) -> tuple[str, dict[str, list[str]], object]:
        return self.requests[-1]

    def answer(self, method: str, path: str) -> Answer:
        if path == "/identity/v3":
            return 200, {"version": {"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": self.url}]}}
        if path == "/identity/v3/auth/tokens":
            self.logins += 1
            return 201, self.token()
        answers = self.answers.get(f"{method} {path}", [(404, {"itemNotFound": {"message": "not there"}})])
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def token(self) -> object:
        catalogue = [
            {
                "type": service,
                "name": service,
                "endpoints": [
                    {"interface": "public", "region": "RegionOne", "region_id": "RegionOne", "url": self.url + path}
                ],
            }
            for service, path in self.services.items()
        ]
        return {
            "token": {
                "methods": ["password"],
                "expires_at": "2100-01-01T00:00:00.000000Z",
                "issued_at": "2026-01-01T00:00:00.000000Z",
                "user": {"id": "u", "name": "hydria", "domain": {"id": "default", "name": "Default"}},
                "project": {"id": "p", "name": "service", "domain": {"id": "default", "name": "Default"}},
                "roles": [],
                "catalog": catalogue,
            }
        }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: OpenStack

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        url = urlsplit(self.path)
        if not url.path.startswith("/identity"):
            assert self.headers["X-Auth-Token"]
            self.server.tokens.append(self.headers["X-Auth-Token"])
            self.server.accepted.append(self.headers["Accept"])
            self.server.microversions.append(self.headers["OpenStack-API-Version"])
            body = json.loads(text) if text else None
            self.server.requests.append((f"{self.command} {url.path}", parse_qs(url.query), body))
        status, answer = self.server.answer(self.command, url.path)
        content = answer if isinstance(answer, bytes) else b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("X-Subject-Token", f"token-{self.server.logins}")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815 - http.server's own names

    def log_message(self, *args: object) -> None:
        pass
