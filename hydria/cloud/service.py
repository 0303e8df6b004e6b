"""`hydria cloud`: serves the app until SIGTERM or Ctrl-C. Knows no service of the cloud."""

import signal
from concurrent.futures import ThreadPoolExecutor

import uvicorn
from litestar.concurrency import set_asyncio_executor

from hydria.base import log
from hydria.base.config import Config
from hydria.cloud import metrics
from hydria.cloud.app import Services, create_app, open_services

logger = log.Logger(__name__)

THREADS = 32
"""Requests handled at the same time; a server's creation holds one for as long as it takes."""

KEEP_ALIVE_SECONDS = 75
"""Longer than clients keep an idle connection: else now and then a request meets one that is just being closed."""

STOP_SECONDS = 2
"""How long requests under way may take to end once a stop is asked for."""


def run(config: Config) -> None:
    """Returns after a graceful stop."""
    services = open_services(config)
    # uvicorn raises the signal again once it has stopped; asked to stop and stopped is success, not death by signal.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    executor = ThreadPoolExecutor(THREADS, thread_name_prefix="cloud")
    set_asyncio_executor(executor)
    try:
        with metrics.serving(config.metrics, services.compute.hosts):
            make_server(services).run()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        services.close()
    logger.info("cloud stopped")


def make_server(services: Services) -> uvicorn.Server:
    config = uvicorn.Config(
        create_app(services),
        host=services.config.cloud.bind_host,
        port=services.config.cloud.bind_port,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return uvicorn.Server(config)
