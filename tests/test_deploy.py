"""The files to deploy from: what they name is there, and what is there they show."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url
from typer.testing import CliRunner

from service.cli import app
from service.settings import Settings
from service.telemetry import Metrics

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "docs" / "deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def panels() -> Iterator[dict[str, Any]]:
    dashboard = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    yield from (one for one in dashboard["panels"] if one["type"] != "row")


def samples() -> dict[str, set[str]]:
    """The names under which Prometheus stores what the service tells, and their labels; each metric has moved once."""
    metrics = Metrics()
    metrics.accepted("created", "original")
    metrics.refused("invalid")
    metrics.answered(route="/livez", method="GET", status=200, seconds=0.1)
    metrics.describe_build(version="1", model="bundled", store="sqlite")
    metrics.stage_seconds.labels(stage="encode").observe(0.1)
    found: dict[str, set[str]] = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_the_dashboard_asks_for_what_is_there() -> None:
    """Every metric and label it names is one of the service's, in one job; panels do not lie on each other."""
    known = samples()
    for panel in panels():
        for target in panel["targets"]:
            names = re.findall(r"\b((?:benang|process)_\w+)\{", target["expr"])
            labels = set().union(*(known[name] for name in names))
            by = re.findall(r"by \(([\w, ]+)\)", target["expr"])
            assert names, target["expr"]
            assert target["expr"].count('{job="$job"') == len(names)
            assert {one for part in by for one in part.split(", ")} <= labels
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels())
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))


def test_the_dashboard_shows_every_metric() -> None:
    shown = " ".join(target["expr"] for panel in panels() for target in panel["targets"])
    own = [family.name for family in Metrics().registry.collect() if family.name.startswith("benang_")]

    assert [name for name in own if not re.search(rf"\b{name}(_total|_bucket)?\{{", shown)] == []


def test_alerts_ask_for_what_is_there() -> None:
    """Each rule has a sentence and something to do, and names metrics of the service alone."""
    groups = yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    known = samples().keys()
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    for rule in rules:
        assert set(re.findall(r"\bbenang_\w+", rule["expr"])) <= known
        assert rule["expr"].startswith("up{") or "benang_" in rule["expr"]
        assert rule["annotations"].keys() == {"summary", "action"}


# --- units and manifests -----------------------------------------------------------------------------------------------


def manifest(kind: str) -> dict[str, Any]:
    found: dict[str, Any]
    (found,) = (
        one
        for one in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))
        if one["kind"] == kind
    )
    return found


def test_files_name_settings_that_are_there() -> None:
    known = {f"BENANG_{name.upper()}" for name in Settings.model_fields}
    for path in DEPLOY.iterdir():
        named = set(re.findall(r"\bBENANG_[A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8")))
        assert named <= known, path.name


def test_the_manifest_runs_the_image_as_it_was_built() -> None:
    """The Dockerfile's user, volume and port; one writer; no variables of Kubernetes that look like settings."""
    pod = manifest("StatefulSet")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    service = manifest("Service")
    (url,) = (
        one
        for one in manifest("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0][
            "args"
        ]
        if one.startswith("http")
    )

    assert manifest("StatefulSet")["spec"]["replicas"] == 1
    assert (
        f"USER {pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}\n" in DOCKERFILE
    )
    assert f"EXPOSE {container['ports'][0]['containerPort']}\n" in DOCKERFILE
    assert f"VOLUME {container['volumeMounts'][0]['mountPath']}\n" in DOCKERFILE
    assert pod["enableServiceLinks"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert (
        url == f"http://{service['metadata']['name']}:{service['spec']['ports'][0]['port']}/v1/reclusterings"
    )
    assert service["spec"]["selector"] == manifest("StatefulSet")["spec"]["selector"]["matchLabels"]


def test_compose_with_postgres_runs_what_was_built() -> None:
    """Every service of ours is the image with the extra for PostgreSQL, under a command that is there, on loopback alone."""
    text = (DEPLOY / "compose.postgres.yaml").read_text(encoding="utf-8")
    services = yaml.safe_load(text)["services"]
    database = services.pop("postgres")["environment"]
    ports = re.findall(r"EXPOSE (\d+)", DOCKERFILE)

    assert re.search(r'pip install .*"\.\[postgres', DOCKERFILE)
    assert len(services) == 3
    for name, service in services.items():
        assert (DEPLOY / service["build"] / "Dockerfile").resolve() == ROOT / "Dockerfile"
        assert service["cap_drop"] == ["ALL"], name
        store = make_url(service["environment"]["BENANG_STORE"])
        assert (store.username, store.database) == (database["POSTGRES_USER"], database["POSTGRES_DB"])
        assert store.host == "postgres"
        assert store.password is None
        for port in service["ports"]:
            assert re.fullmatch(rf"127\.0\.0\.1:[\d-]+:{ports[0]}", port)
        told = CliRunner().invoke(app, [*service["command"], "--help"])
        assert told.exit_code == 0, told.output


def test_compose_runs_the_image_as_it_was_built() -> None:
    """It builds this Dockerfile, keeps its volume and publishes its port on loopback alone."""
    service = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["benang"]

    assert (DEPLOY / service["build"] / "Dockerfile").resolve() == ROOT / "Dockerfile"
    assert [volume.split(":")[1] for volume in service["volumes"]] == re.findall(r"VOLUME (\S+)", DOCKERFILE)
    assert service["ports"] == [
        f"127.0.0.1:{port}:{port}" for port in re.findall(r"EXPOSE (\d+)", DOCKERFILE)
    ]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze on this machine")
def test_units_are_understood(tmp_path: Path) -> None:
    """By systemd itself, with a program where the units look for it."""
    program = tmp_path / "benang"
    program.touch(0o755)
    for unit in (*DEPLOY.glob("*.service"), *DEPLOY.glob("*.timer")):
        text = unit.read_text(encoding="utf-8").replace("/opt/benang/.venv/bin/benang", str(program))
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    units = sorted(str(one) for one in tmp_path.glob("benang*.*"))

    done = subprocess.run(
        ["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False, timeout=60
    )

    assert len(units) == 5
    assert (done.returncode, done.stderr) == (0, "")
