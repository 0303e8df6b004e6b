"""The order of a listener's L7 policies."""

import sqlalchemy as sa

from hydria.model import l7_rules
from hydria.model.l7 import L7Policy
from hydria.model.status import ProvisioningStatus
from hydria.store import resources
from hydria.store.database import Transaction
from hydria.store.tables import table

_POLICY = table(L7Policy)
_STAYING = (
    resources.select(L7Policy)
    .where(
        _POLICY.c.listener_id == sa.bindparam("listener_id"),
        _POLICY.c.provisioning_status != ProvisioningStatus.PENDING_DELETE,
    )
    .order_by(_POLICY.c.position, _POLICY.c.created_at, _POLICY.c.id)
)
_MOVE = sa.update(_POLICY).where(_POLICY.c.id == sa.bindparam("at")).values(position=sa.bindparam("place"))


def of_listener(tx: Transaction, listener_id: str) -> tuple[L7Policy, ...]:
    """Those that stay, by position."""
    return tuple(resources.from_rows(L7Policy, tx.execute(_STAYING, {"listener_id": listener_id})))


def arrange(tx: Transaction, written: L7Policy) -> None:
    """Number the policies beside one that was inserted, changed or marked for deletion, 1, 2, 3, and so on.

    It goes where its row asks for. The load balancer is locked by now (`load_balancers.touch`): two at a time would
    give the same number twice.
    """
    there = of_listener(tx, written.listener_id)
    others = [policy for policy in there if policy.id != written.id]
    placed = [policy for policy in there if policy.id == written.id]
    order = l7_rules.placed(others, placed[0]) if placed else l7_rules.numbered(others)
    were = {policy.id: policy.position for policy in there}
    moved = [{"at": policy.id, "place": policy.position} for policy in order if were[policy.id] != policy.position]
    if moved:
        tx.execute(_MOVE, moved)
