"""The process: `run` serves until SIGTERM, and listens only when it can answer."""

import contextlib
import functools
import signal
import socket

import uvicorn

from hydria.api import app, processes
from hydria.api.call import Services
from hydria.api.identity import Keystone
from hydria.api.policy import Policy
from hydria.base import garbage
from hydria.base.config import Config
from hydria.base.log import Logger
from hydria.drivers.barbican import Barbican
from hydria.drivers.fake_key_manager import FakeKeyManager
from hydria.drivers.noop import NOTHING_IS_REAL, NoopCloud
from hydria.drivers.openstack import OpenStackCloud
from hydria.model.served import AMPHORA, EVERYTHING
from hydria.store.database import Database
from hydria.store.queue import Queue
from hydria.store.wake import WakeSender

logger = Logger(__name__)

DRAIN_SECONDS = 2
"""What a request under way has to end in after SIGTERM."""


def run(config: Config) -> None:
    with contextlib.closing(Database(config.database.url)) as database:  # no connection outlives a fork
        database.migrate()
    logger.info("serving the load balancer API", host=config.api.bind_host, port=config.api.bind_port)
    if config.api.processes > 1:
        answer = functools.partial(_answer, config)
        processes.serve(config.api.bind_host, config.api.bind_port, config.api.processes, answer)
    else:
        _answer(config)


def _answer(config: Config, bound: socket.socket | None = None) -> None:
    """In this process; without a socket on one of its own."""
    database = Database(config.database.url)
    application = app.create(services(config, database))
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            host=config.api.bind_host,
            port=config.api.bind_port,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # it believes whoever connects from this machine; ours is asked for by configuration
            timeout_graceful_shutdown=DRAIN_SECONDS,
        )
    )

    def end(*_: object) -> None:
        server.should_exit = True

    # Until uvicorn takes these signals itself; it raises them again when it has stopped, and a clean exit follows.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    garbage.spare_what_stays()
    try:
        server.run(None if bound is None else [bound])
    finally:
        database.close()


def services(config: Config, database: Database) -> Services:
    noop = config.drivers.kind == "noop"
    if noop:
        logger.warning(NOTHING_IS_REAL)
    return Services(
        config=config,
        database=database,
        queue=Queue(database),
        identity=Keystone(config.identity),
        policy=Policy(
            config.api.policy_file, variant=config.api.policy_variant, enforce_scope=config.api.enforce_scope
        ),
        cloud=NoopCloud() if noop else OpenStackCloud(config.identity),
        key_manager=FakeKeyManager(anything=True) if noop else Barbican(config.identity),
        wake=WakeSender(config.controller.wake_socket),
        served=EVERYTHING if noop else AMPHORA,
    )
