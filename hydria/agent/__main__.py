"""`python -m hydria.agent`: the program in every amphora. It may die at any time: HAProxy serves on."""

import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from hydria.agent import drivers
from hydria.agent.amphora import Amphora
from hydria.agent.heartbeat import Reporter, watch_carriers, watch_links
from hydria.agent.namespace import Namespace
from hydria.agent.server import Server
from hydria.agent.state import State
from hydria.base import log
from hydria.base.errors import HydriaError
from hydria.base.notify import notify
from hydria.model.spec import AgentConfig

logger = log.Logger("hydria.agent")

CONFIG = Path("/etc/hydria/agent.json")


def load_config(path: Path) -> AgentConfig:
    try:
        return msgspec.json.decode(path.read_bytes(), type=AgentConfig)
    except (OSError, msgspec.MsgspecError) as error:
        raise HydriaError(f"Reading {path}: {error}") from error


def main(arguments: Sequence[str]) -> int:
    log.setup()
    try:
        run(load_config(_path(arguments) if arguments else CONFIG))
    except (HydriaError, OSError) as error:
        logger.warning("agent does not start", error=error)
        return 1
    return 0


def _path(arguments: Sequence[str]) -> Path:
    # Imported here because an amphora's agent has no arguments, and argparse takes a tenth of its start.
    import argparse  # noqa: PLC0415

    parser = argparse.ArgumentParser(prog="hydria-agent", description="Makes this amphora what its spec says.")
    parser.add_argument("--config", type=Path, required=True)
    return Path(parser.parse_args(arguments).config)


def run(config: AgentConfig) -> None:
    """Listen first: the controller may connect while the last spec is being restored."""
    state = State(Path(config.state_dir))
    amphora = Amphora(config, Namespace(), state)
    reporter = Reporter(amphora, config.heartbeat_key.encode())
    stop = threading.Event()
    with Server(config, amphora) as server:
        logger.info("listening", port=config.bind_port, amphora_id=config.amphora_id)
        for work in (
            lambda: _restore(amphora, server),
            lambda: reporter.run(stop),
            lambda: watch_links(amphora, stop),
            lambda: watch_carriers(amphora, stop),
        ):
            threading.Thread(target=work, daemon=True).start()
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        try:
            server.serve_forever(poll_interval=0.5)
        finally:
            stop.set()


def _restore(amphora: Amphora, server: Server) -> None:
    try:
        # Udev, which does this when a NIC is plugged, starts later than we do.
        drivers.load(drivers.NETWORK)
        amphora.restore()
        server.info()
    except Exception:
        logger.exception("last spec not restored")
    finally:
        # Of all that systemd starts, what serves is first: the rest of the system waits for this.
        notify("READY=1")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
