"""The image service's books and files. Knows no HTTP."""

from hydria.base.config import Cloud
from hydria.cloud.database import Database


class Images:
    def __init__(self, config: Cloud, database: Database) -> None:
        self.config = config
        self.database = database
