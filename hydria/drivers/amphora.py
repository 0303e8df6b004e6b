"""The way to an agent: HTTPS with mutual authentication over the management network."""

from typing import Protocol

from hydria.model.spec import Info, Observed
from hydria.model.spec_versions import Document


class AmphoraClient(Protocol):
    """`address` is the amphora's lb_network_ip; its certificate must bear the amphora's id.

    Raises Retryable when the agent does not answer (not up yet, or lost), Terminal when it refuses the spec.
    """

    def info(self, amphora_id: str, address: str) -> Info: ...

    def put_spec(self, address: str, document: Document) -> Observed: ...

    def observed(self, amphora_id: str, address: str) -> Observed: ...
