"""The key manager: secrets, containers and the keys they are encrypted with. Knows no HTTP."""

from pathlib import Path

from hydria.base.config import Cloud
from hydria.cloud.database import Database
from hydria.cloud.identity.catalog import public_url
from hydria.cloud.key_manager.container_books import Containers
from hydria.cloud.key_manager.encryption import KEY_FILE, Keyring
from hydria.cloud.key_manager.secret_books import Secrets

PATH = "/key-manager"


class KeyManager:
    def __init__(self, config: Cloud, database: Database) -> None:
        self.url = f"{public_url(config)}{PATH}/v1"
        """What references begin with."""
        self.secrets = Secrets(database, Keyring(Path(config.state_dir) / KEY_FILE))
        self.containers = Containers(database, self.secrets, f"{self.url}/secrets")

    def start(self) -> None:
        """Raises ConfigError where the key file is not as it has to be."""
        self.secrets.open_books()
