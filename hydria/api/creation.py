"""How a load balancer and its VIP's port come into being together, so that neither is left without the other.

    1. The rows, and a mark that makes a controller finish the work if this process dies.
    2. The port.
    3. Its addresses into the row, and the mark: now.

A refusal in 2 takes the rows away again; an answer that did not come leaves both to the controller's deletion.
"""

from hydria.api import vips
from hydria.api.call import Call
from hydria.api.draft import Draft
from hydria.base.errors import Conflict, Invalid, RequestError, Retryable, Terminal
from hydria.drivers.cloud import Port
from hydria.model.load_balancer import LoadBalancer
from hydria.model.served import check_supported
from hydria.model.status import ProvisioningStatus
from hydria.store import load_balancers, quotas, resources
from hydria.store.database import Transaction

TAKEOVER_SECONDS = 30.0
"""After which a controller goes on with what this process began; longer than the cloud needs for a port."""


def create(call: Call, draft: Draft, chosen: vips.Plan) -> LoadBalancer:
    """Raises Unsupported, Forbidden where a quota is met, Conflict or Invalid as the cloud refuses the port, Retryable
    when it does not answer.
    """
    load_balancer, services = draft.load_balancer, call.services
    with services.database.write() as tx:
        quotas.reserve(tx, load_balancer.project_id, {LoadBalancer: 1}, services.config.quotas)
        draft.write(tx, lambda: _insert(call, tx, load_balancer))
        services.queue.mark(tx, load_balancer.id, after=TAKEOVER_SECONDS)
    try:
        port = chosen.port or services.cloud.create_port(vips.port_request(load_balancer, chosen))
    except (RequestError, Terminal) as error:
        _withdraw(call, load_balancer)
        raise _refusal(error) from error
    except Retryable:
        with services.database.write() as tx:
            load_balancers.delete_load_balancer(tx, load_balancer.id, cascade=True)
        services.wake.send()
        raise
    with services.database.write() as tx:
        stored = _complete(call, tx, load_balancer, chosen, port)
    if stored.vip_port_id != port.id and chosen.port is None:
        services.cloud.delete_port(port.id)
    services.wake.send()
    return stored


def _insert(call: Call, tx: Transaction, new: LoadBalancer) -> int:
    check_supported(new, call.services.served)
    return resources.insert(tx, new).generation


def _complete(call: Call, tx: Transaction, made: LoadBalancer, chosen: vips.Plan, port: Port) -> LoadBalancer:
    """The row with its VIPs: ours, or those of a controller that was faster."""
    now = _still_there(tx, made)
    if now is None or now.vip_port_id not in (None, made.vip_port_id):
        return now or made
    resources.update(tx, LoadBalancer, made.id, **vips.of_port(port, chosen))
    call.services.queue.mark(tx, made.id)
    return resources.get(tx, LoadBalancer, made.id) or made


def _still_there(tx: Transaction, made: LoadBalancer) -> LoadBalancer | None:
    now = resources.get(tx, LoadBalancer, made.id)
    deleting = now is not None and now.provisioning_status is ProvisioningStatus.PENDING_DELETE
    return None if deleting else now


def _withdraw(call: Call, made: LoadBalancer) -> None:
    with call.services.database.write() as tx:
        resources.delete(tx, LoadBalancer, made.id)


def _refusal(error: RequestError | Terminal) -> RequestError:
    """No free address is as much a conflict with what others hold as an address that is taken."""
    if isinstance(error, Conflict | Invalid):
        return error
    return Conflict(error.message) if isinstance(error, Terminal) else Invalid(error.message, field="vip_network_id")
