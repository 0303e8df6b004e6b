"""Who uses an inline certificate: rows that name it by reference, of which no key of the database knows."""

from typing import Final

import sqlalchemy as sa

from hydria.model import tls_rules
from hydria.model.certificate import reference
from hydria.model.status import ProvisioningStatus
from hydria.store.database import Transaction
from hydria.store.tables import table, title

_STAYS: Final = ProvisioningStatus.PENDING_DELETE


def user(tx: Transaction, certificate_id: str) -> str | None:
    """One that stays, as messages name it: "Listener 4f2a..."."""
    for resource, names in tls_rules.REFERENCES.items():
        columns = table(resource).c
        # A list is JSON text, and its elements end like a reference that stands alone.
        naming = [sa.cast(columns[name], sa.Text).like(f"%{reference(certificate_id)}%") for name in names]
        found = tx.execute(
            sa.select(columns.id).where(columns.provisioning_status != _STAYS.value, sa.or_(*naming)).limit(1)
        ).first()
        if found is not None:
            return f"{title(resource)} {found.id}"
    return None
