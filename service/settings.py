"""Every setting in one table: name, default, unit, sentence.  Environment: `BENANG_<NAME>`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

BUNDLED = "bundled"
POSTGRES = "postgresql+psycopg://"
CUTS_FILE = "cuts.json"
"""In a folder of pair models: the cuts that go with them, by the names of the settings."""


class Settings(BaseSettings):
    """What an operator may choose; `docs/operations.md` lists every field (a test compares them)."""

    model_config = SettingsConfigDict(env_prefix="BENANG_", extra="forbid", hide_input_in_errors=True)

    data: Path = Field(default=Path("data"), description="Folder that holds the store.")
    store: SecretStr = Field(
        default=SecretStr(""),
        description="PostgreSQL database that holds the store instead (`postgresql+psycopg://…`); empty for SQLite.",
    )
    model: str = Field(
        default="bundled",
        description="Encoder: `bundled`, a local sentence-transformers folder, or a hub name.",
    )
    pair_model: str = Field(
        default="bundled",
        description="Pair models: `bundled`, or a folder that `benang fit` wrote; its cuts hold where none are set.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    open_beyond_loopback: bool = Field(
        default=False,
        description="Whether the service may listen where other machines reach it while there is no key.",
    )

    docs: bool = Field(
        default=True, description="Whether the pages (`/`, `/docs`) and `/openapi.json` are answered."
    )

    read_only: bool = Field(
        default=False, description="Whether the service only reads what another one writes."
    )

    cut: float = Field(
        default=0.45, gt=0, lt=1, description="Probability of 'same event' above which an article joins."
    )
    story_cut: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Probability of 'same story' above which a cluster joins a story.",
    )
    window_days: float = Field(
        default=14, gt=0, description="Days between an article and the reports it is compared with."
    )
    story_horizon_days: float = Field(
        default=180, gt=0, description="Days between a cluster and the stories it is compared with."
    )

    recluster_window_days: float = Field(
        default=14, gt=0, description="Days of receipt that a night looks back over."
    )
    recluster_at: str = Field(
        default="",
        pattern=r"^(([01][0-9]|2[0-3]):[0-5][0-9])?$",
        description="Local time of the nightly run (`02:00`) while serving; empty for none.",
    )

    night_openings: int = Field(
        default=0,
        ge=0,
        description="Openings of articles that a night may newly read with the transformer; 0 for none.",
    )
    scheduler: str = Field(
        default="",
        description="Dask scheduler that nights run on (`tcp://host:8786`); empty for this machine.",
    )
    archive: Path | None = Field(
        default=None, description="Parquet archive that workers read; none when they reach the data folder."
    )

    key_rate: float = Field(
        default=100.0, ge=0, description="Requests a second that one key may make over time; 0 for no limit."
    )
    address_rate: float = Field(
        default=0.0,
        ge=0,
        description="Requests a second from one address while nobody needs a key; 0 for no limit.",
    )
    failure_rate: float = Field(
        default=10.0,
        ge=0,
        description="Requests a second that one address may have refused for want of a key; 0 for no limit.",
    )
    burst_s: float = Field(
        default=10.0, gt=0, description="Seconds' worth of these requests that may come at once."
    )

    max_body_bytes: int = Field(default=2 * 2**20, gt=0, description="Bytes of one article's request body.")
    max_bulk_bytes: int = Field(default=8 * 2**20, gt=0, description="Bytes of a bulk body on the wire.")
    max_inflated_bytes: int = Field(
        default=32 * 2**20, gt=0, description="Bytes of a bulk body once inflated."
    )
    max_bulk_items: int = Field(default=1000, gt=0, description="Articles in one bulk body.")
    body_timeout_s: float = Field(default=30.0, gt=0, description="Seconds a client may take to send a body.")
    extraction_timeout_s: float = Field(default=2.0, gt=0, description="Seconds one HTML page may take.")
    future_tolerance_s: float = Field(
        default=600.0, ge=0, description="Seconds a publication time may lie ahead of our clock."
    )
    check_at_start: bool = Field(
        default=True, description="Whether every page of the store is read at start, to see that it is whole."
    )
    min_disk_free_bytes: int = Field(
        default=64 * 2**20,
        ge=0,
        description="Bytes free on the disk of the store below which it is not ready.",
    )
    queue_size: int = Field(default=64, gt=0, description="Batches that may wait for the writer.")
    max_streams: int = Field(
        default=64, gt=0, description="Streams of the change feed that may be open at a time."
    )
    webhook_hosts: str = Field(
        default="",
        description="Hosts that webhooks may be sent to, separated by commas; none: webhooks are off.",
    )
    traces: str = Field(
        default="",
        pattern=r"^(https?://.+)?$",
        description="OTLP collector that spans are sent to (`http://localhost:4318/v1/traces`); empty for none.",
    )
    batch_size: int = Field(default=256, gt=0, description="Articles the writer decides in one transaction.")

    @property
    def place(self) -> Path | str:
        """Where the store is: the data folder, or the URL of a PostgreSQL database, its password in clear."""
        return self.store.get_secret_value() or self.data

    def in_folder(self, folder: Path) -> Settings:
        """Return the same settings for another store, in a folder of its own."""
        return self.model_copy(update={"data": folder, "store": SecretStr("")})

    @field_validator("store")
    @classmethod
    def _is_postgres(cls, store: SecretStr) -> SecretStr:
        if store.get_secret_value() and not store.get_secret_value().startswith(POSTGRES):
            raise ValueError(f"begin it with {POSTGRES} or leave it empty")
        return store

    @model_validator(mode="after")
    def _take_cuts_of_the_pair_model(self) -> Self:
        """Models and cuts belong together; a cut that is set all the same wins."""
        if self.pair_model == BUNDLED:
            return self
        file = Path(self.pair_model) / CUTS_FILE
        try:
            cuts = json.loads(file.read_text(encoding="utf-8"))
            found = {name: float(cuts[name]) for name in ("cut", "story_cut")}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{file} cannot be read; name a folder that `benang fit` wrote, or `{BUNDLED}`"
            ) from error
        for name, value in found.items():
            if not 0 < value < 1:
                raise ValueError(f"{file}: {name} must lie between 0 and 1")
            if name not in self.model_fields_set:
                setattr(self, name, value)
        return self
