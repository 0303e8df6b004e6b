"""The Compute API's servers and their interfaces: routes only."""

from typing import Any, Literal

from litestar import Response, delete, get, post, put

from hydria.base.errors import Invalid
from hydria.cloud.compute import form, views
from hydria.cloud.compute.form import Form
from hydria.cloud.compute.handler import Body, Caller, Id, Minor, Service
from hydria.cloud.compute.paging import page
from hydria.cloud.compute.resources import Server
from hydria.cloud.compute.servers import AttachInterface, CreateServer, UpdateServer
from hydria.cloud.compute.service import Compute
from hydria.cloud.context import Context
from hydria.cloud.network.errors import PortNotFound
from hydria.cloud.network.resources import NetworkRow, Port
from hydria.cloud.web import AnyRequest, own_url

HINTS = ("os:scheduler_hints", "OS-SCH-HNT:scheduler_hints")


class Reboot(Form):
    type: Literal["SOFT", "HARD", "soft", "hard"]


class ResetState(Form):
    state: Literal["active", "error"]


class ConsoleOutput(Form):
    length: int | None = None


def _nics(compute: Compute, server: Server) -> list[tuple[Port, NetworkRow]]:
    """A port that was deleted behind the server's back is not shown."""
    found = []
    for interface in compute.lifecycle.placement.interfaces(server.id):
        try:
            port = compute.network.port(interface.id)
        except PortNotFound:
            continue
        found.append((port, compute.network.network(port.network_id)))
    return found


def _shown(request: AnyRequest, context: Context, compute: Compute, server: Server, version: int) -> dict[str, Any]:
    nics = _nics(compute, server)
    return views.server(own_url(request, ""), server, version, nics=nics, admin=context.is_admin)


def _list(request: AnyRequest, context: Context, compute: Compute) -> tuple[list[Server], dict[str, Any]]:
    return page(request, compute.servers.all(context, dict(request.query_params.items())), "servers")


@get("/servers", sync_to_thread=True)
def list_servers(request: AnyRequest, context: Caller, compute: Service) -> dict[str, Any]:
    found, links = _list(request, context, compute)
    return {"servers": [views.brief(own_url(request, ""), "servers", server) for server in found], **links}


@get("/servers/detail", sync_to_thread=True)
def list_servers_detail(request: AnyRequest, context: Caller, compute: Service, version: Minor) -> dict[str, Any]:
    found, links = _list(request, context, compute)
    with compute.database.read():
        return {"servers": [_shown(request, context, compute, server, version) for server in found], **links}


@post("/servers", status_code=202, sync_to_thread=True)
def create_server(request: AnyRequest, context: Caller, compute: Service, body: Body) -> Response[dict[str, Any]]:
    content = form.document(body)
    hints: Any = next((content[name] for name in HINTS if name in content), {})
    server = compute.servers.create(
        context, form.read(body, "server", CreateServer), form.convert(hints, HINTS[0], dict[str, Any])
    )
    links = views.links(own_url(request, ""), "servers", server.id)
    answer = {"id": server.id, "links": links, "OS-DCF:diskConfig": "MANUAL", "security_groups": [{"name": "default"}]}
    return Response({"server": {**answer, "adminPass": ""}}, headers={"Location": links[0]["href"]})


@get("/servers/{server_id:str}", sync_to_thread=True)
def show_server(
    request: AnyRequest, context: Caller, compute: Service, version: Minor, server_id: Id
) -> dict[str, Any]:
    return {"server": _shown(request, context, compute, compute.servers.get(context, server_id), version)}


@put("/servers/{server_id:str}", sync_to_thread=True)
def update_server(
    *, request: AnyRequest, context: Caller, compute: Service, version: Minor, server_id: Id, body: Body
) -> dict[str, Any]:
    server = compute.servers.update(context, server_id, form.read(body, "server", UpdateServer))
    return {"server": _shown(request, context, compute, server, version)}


@delete("/servers/{server_id:str}", status_code=204, sync_to_thread=True)
def delete_server(context: Caller, compute: Service, server_id: Id) -> None:
    compute.servers.delete(context, server_id)


@post("/servers/{server_id:str}/action", status_code=202, sync_to_thread=True)
def server_action(context: Caller, compute: Service, server_id: Id, body: Body) -> Response[dict[str, Any] | None]:
    match form.document(body):
        case {"os-stop": _}:
            compute.servers.stop(context, server_id)
        case {"os-start": _}:
            compute.servers.start(context, server_id)
        case {"reboot": arguments}:
            hard = form.convert(arguments, "reboot", Reboot).type.upper() == "HARD"
            compute.servers.reboot(context, server_id, hard=hard)
        case {"os-resetState": arguments}:
            state = form.convert(arguments, "os-resetState", ResetState).state
            compute.servers.reset_state(context, server_id, state)
        case {"os-getConsoleOutput": arguments}:
            length = form.convert(arguments or {}, "os-getConsoleOutput", ConsoleOutput).length
            output = compute.servers.console(context, server_id, None if length == -1 else length)
            return Response({"output": output}, status_code=200)
        case other:
            raise Invalid(f"There is no such action: {', '.join(other)}")
    return Response(None, status_code=202)


@get("/servers/{server_id:str}/os-interface", sync_to_thread=True)
def list_interfaces(context: Caller, compute: Service, version: Minor, server_id: Id) -> dict[str, Any]:
    server = compute.servers.get(context, server_id)
    return {"interfaceAttachments": [views.interface(port, version) for port, _ in _nics(compute, server)]}


@post("/servers/{server_id:str}/os-interface", status_code=200, sync_to_thread=True)
def create_interface(context: Caller, compute: Service, version: Minor, server_id: Id, body: Body) -> dict[str, Any]:
    wanted = form.read(body, "interfaceAttachment", AttachInterface)
    interface = compute.servers.attach(context, server_id, wanted)
    return {"interfaceAttachment": views.interface(compute.network.port(interface.id), version)}


@get("/servers/{server_id:str}/os-interface/{port_id:str}", sync_to_thread=True)
def show_interface(context: Caller, compute: Service, version: Minor, server_id: Id, port_id: Id) -> dict[str, Any]:
    interface = compute.servers.interface(context, server_id, port_id)
    return {"interfaceAttachment": views.interface(compute.network.port(interface.id), version)}


@delete("/servers/{server_id:str}/os-interface/{port_id:str}", status_code=202, sync_to_thread=True)
def delete_interface(context: Caller, compute: Service, server_id: Id, port_id: Id) -> None:
    compute.servers.detach(context, server_id, port_id)


handlers = [
    list_servers,
    list_servers_detail,
    create_server,
    show_server,
    update_server,
    delete_server,
    server_action,
    list_interfaces,
    create_interface,
    show_interface,
    delete_interface,
]
