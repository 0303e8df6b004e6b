"""One thread that sees PFs lose and regain their link, come and go, and says so. Knows no port and no server."""

import threading
from collections.abc import Callable, Iterator, Sequence

from hydria.base import log
from hydria.base.errors import HydriaError
from hydria.sriov.inventory import Pf
from hydria.sriov.nics import Nics

logger = log.Logger(__name__)

AGAIN_SECONDS = 1.0
"""After a failure of the NICs that they did not get over themselves."""


class PfWatch:
    """Calls `seen(pfs)` in its own thread, soon after the start and again after each change of anything.

    After `seen`, `links_changed()` is called where a link is not as it was when that was last called with success.
    """

    def __init__(self, nics: Nics, seen: Callable[[Sequence[Pf]], None], links_changed: Callable[[], None]) -> None:
        self._nics = nics
        self._seen = seen
        self._links_changed = links_changed
        self._told: dict[str, bool] | None = None
        self._before: Sequence[Pf] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pf-watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        told = None
        while not self._stop.is_set():
            try:
                for pfs in self._nics.watch(self._stop):
                    told = None
                    self._look(pfs)
            except HydriaError as error:
                if error.message != told:
                    told = error.message
                    logger.warning("PFs cannot be watched", reason=told)
                self._stop.wait(AGAIN_SECONDS)
            except Exception:  # the outermost loop of this thread: the next look may go well
                logger.exception("watching PFs broke")
                self._stop.wait(AGAIN_SECONDS)

    def _look(self, pfs: Sequence[Pf]) -> None:
        for message, pf in changes(self._before, pfs):
            # Good news and bad news are told alike: who reads of the loss looks for the return.
            logger.warning(message, pf=pf.name, physical_network=pf.physical_network, driver=pf.driver)
        self._before = pfs
        self._seen(pfs)
        links = {pf.name: pf.link_up for pf in pfs}
        if links != self._told:
            self._links_changed()
            self._told = links


def changes(before: Sequence[Pf] | None, now: Sequence[Pf]) -> Iterator[tuple[str, Pf]]:
    """What there is to tell, by PF; at the first look (None) only what is not as it should be."""
    known = {pf.name: pf for pf in before or ()}
    for pf in sorted(now, key=lambda pf: pf.name):
        old = known.pop(pf.name, None)
        if old is None and before is not None:
            yield ("PF is new" if pf.link_up else "PF is new, without link"), pf
        elif not pf.link_up and (old is None or old.link_up):
            yield ("PF has lost its link" if old else "PF has no link"), pf
        elif pf.link_up and old is not None and not old.link_up:
            yield "PF has its link again", pf
    for _, pf in sorted(known.items()):
        yield "PF is gone", pf
