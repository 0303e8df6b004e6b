"""Amphorae, for operators to look at."""

from hydria.api.collection import Collection
from hydria.model.amphora import Amphora


class Amphorae(Collection[Amphora]):
    resource = Amphora
    singular, plural, links = "amphora", "amphorae", "amphorae_links"
    title, rule = "Amphora", "amphora"
