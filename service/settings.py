"""Every setting in one table: name, default, unit, sentence.  Environment: `BENANG_<NAME>`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What an operator may choose; `docs/operations.md` lists every field (a test compares them)."""

    model_config = SettingsConfigDict(env_prefix="BENANG_", extra="forbid")

    data: Path = Field(default=Path("data"), description="Folder that holds the store.")
    model: str = Field(
        default="bundled",
        description="Encoder: `bundled`, a local sentence-transformers folder, or a hub name.",
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on; 0 picks a free one.")
    open_beyond_loopback: bool = Field(
        default=False, description="Whether the service may listen where other machines reach it."
    )

    cut: float = Field(
        default=0.33, gt=0, lt=1, description="Probability of 'same event' above which an article joins."
    )
    story_cut: float = Field(
        default=0.3,
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
    queue_size: int = Field(default=64, gt=0, description="Batches that may wait for the writer.")
    batch_size: int = Field(default=256, gt=0, description="Articles the writer decides in one transaction.")
