"""Loads the rendered rules into the namespace, by nft. Knows nothing of their meaning."""

import shutil
from collections.abc import Iterable, Sequence

from hydria.agent.namespace import Namespace
from hydria.base import process
from hydria.model.spec import ListenerSpec
from hydria.render import nftables


def is_available() -> bool:
    return shutil.which("nft") is not None


def ensure_firewall(namespace: Namespace, listeners: Iterable[ListenerSpec], peers: Sequence[str] = ()) -> bool:
    """Whether the rules had to be replaced: those that stand already keep their counters. Raises ProcessFailed."""
    wanted = tuple(listeners)
    mark = nftables.mark_of(wanted, peers)
    look = ["nft", "list", "chain", "inet", nftables.TABLE, mark]
    if namespace.inside(lambda: process.run(look, check=False)).status == 0:
        return False
    ruleset = nftables.render(wanted, peers)
    namespace.inside(lambda: process.run(["nft", "-j", "-f", "-"], stdin=ruleset))
    return True


def is_loaded(namespace: Namespace) -> bool:
    """Whether there is a firewall at all, even that of another spec."""
    look = ["nft", "list", "chain", "inet", nftables.TABLE, nftables.CHAIN]
    return namespace.inside(lambda: process.run(look, check=False)).status == 0
