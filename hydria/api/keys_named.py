"""What a reference names, for its user: an inline certificate of ours, or something in the key manager."""

from hydria.api import certificates
from hydria.api.call import Call
from hydria.drivers.key_manager import CannotRead
from hydria.drivers.tls_material import Certificate, Unusable
from hydria.model.certificate import InlineCertificate, referred
from hydria.store import resources


class KeysNamed:
    """Reads as drivers.key_manager.KeyManager does, and raises what it raises."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def certificate(self, ref: str) -> Certificate:
        row = self._inline(ref)
        if row is None:
            return self._call.key_manager.certificate(ref)
        try:
            return certificates.certificate(self._call, row)
        except Unusable as error:
            raise CannotRead(ref, str(error)) from None

    def secret(self, ref: str) -> bytes:
        row = self._inline(ref)
        if row is None:
            return self._call.key_manager.secret(ref)
        if row.type == "CERTIFICATE":
            raise CannotRead(ref, "it is of type CERTIFICATE, where a CA or a CRL is needed")
        return certificates.opened(self._call, row)

    def _inline(self, ref: str) -> InlineCertificate | None:
        id_ = referred(ref)
        if id_ is None:
            return None
        with self._call.services.database.read() as tx:
            row = resources.get(tx, InlineCertificate, id_)
        if row is None or not self._call.allows("certificate:get_one", row.project_id):
            raise CannotRead(ref, "there is no such certificate")
        return row
