"""Groundswell serves graph recommenders online; this calls it from Python.

    import groundswell
    from groundswell.v1 import RecommendRequest

    with groundswell.Client("localhost:7100") as client:
        for item in client.recommend(RecommendRequest(user_id="17850")).items:
            print(item.item_id, item.score)
"""

from groundswell import errors as errors, v1 as v1
from groundswell._connection import Tls as Tls
from groundswell._ingest import IngestResult as IngestResult, OtherSource as OtherSource, Refusal as Refusal
from groundswell._rows import BadRow as BadRow, Columns as Columns
from groundswell.aio import AsyncClient as AsyncClient
from groundswell.client import Client as Client
from groundswell.errors import *  # noqa: F403

__version__ = "0.1.0"
