"""The image for containers without the Debian that is below it: its form, and the example that runs it.

``make image-test`` builds a whole one, and runs what is in it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest
import yaml

from doorward import __version__
from scripts.deb.build import RELEASES, ROOT, Build
from scripts.image.build import NUMBER, PORT, SSH_PORT, STATE, described, entries
from scripts.image.layout import LayoutWriter, opened, pack

COMPOSE = yaml.safe_load((ROOT / "packaging/image/compose.yaml").read_text())
WANTED = Build(RELEASES[12], 1_700_000_000)


def made(directory: Path) -> Path:
    """An image of two layers, the second of which adds to the first."""
    root = directory / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/share/doc/some").mkdir(parents=True)
    (root / "var/log").mkdir(parents=True)
    (root / "usr/bin/su").write_bytes(b"su")
    (root / "usr/bin/su").chmod(0o4755)
    os.link(root / "usr/bin/su", root / "usr/bin/su2")
    (root / "usr/bin/sh").symlink_to("su")
    (root / "usr/share/doc/some/README").write_bytes(b"words")
    (root / "var/log/dpkg.log").write_bytes(b"today")
    writer = LayoutWriter(directory / "layout")
    layers = [writer.add(entries(root, WANTED.epoch, set()))]
    below = {str(path.relative_to(root)) for path in root.rglob("*")}
    (root / "usr/bin/doorward").write_bytes(b"doorward")
    layers.append(writer.add(entries(root, WANTED.epoch, below)))
    writer.finish(described(WANTED), layers)
    pack(writer.directory, directory / "image.tar")
    return directory / "image.tar"


def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    images = [made(tmp_path / name) for name in ("one", "two")]
    assert len({hashlib.sha256(image.read_bytes()).digest() for image in images}) == 1


def test_layers_have_what_a_container_needs_and_no_rights_of_others(tmp_path: Path) -> None:
    with opened(made(tmp_path)) as (config, layers):
        first, second = ({entry.name: entry for entry in layer} for layer in layers)
    assert set(first) == {"usr", "usr/bin", "usr/bin/sh", "usr/bin/su", "usr/bin/su2", "usr/share", "var", "var/log"}
    assert set(second) == {"usr/bin/doorward"}
    assert (first["usr/bin/su"].mode, first["usr/bin/su2"].linkname, first["usr/bin/sh"].linkname) == (0o755, "usr/bin/su", "su")
    assert all(entry.mtime <= WANTED.epoch for entry in (*first.values(), *second.values()))
    assert config["config"]["User"] == f"{NUMBER}:{NUMBER}"
    assert config["created"] == "2023-11-14T22:13:20Z"


def test_a_blob_that_is_another_one_is_noticed(tmp_path: Path) -> None:
    image = made(tmp_path)
    changed = tmp_path / "changed.tar"
    with tarfile.open(image) as before, tarfile.open(changed, "w") as after:
        for entry in before:
            file = before.extractfile(entry)
            content = file.read() if file is not None else b""
            if content.startswith(b"\x1f\x8b"):
                content = content[:-1] + bytes([content[-1] ^ 1])
            after.addfile(entry, io.BytesIO(content))
    with pytest.raises(ValueError, match="is another one"), opened(changed) as (_, layers):
        list(layers)


def test_the_layout_is_that_of_the_specification(tmp_path: Path) -> None:
    made(tmp_path)
    layout = tmp_path / "layout"
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    [manifest] = json.loads((layout / "index.json").read_text())["manifests"]
    for blob in (layout / "blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    assert manifest["annotations"]["org.opencontainers.image.ref.name"] == COMPOSE["services"]["doorward"]["image"]


def test_the_example_gives_no_rights_and_shares_what_has_to_be_shared() -> None:
    for service in COMPOSE["services"].values():
        assert service["image"] == f"localhost/doorward:{__version__}"
        assert (service["user"], service["read_only"], service["cap_drop"]) == (f"{NUMBER}:{NUMBER}", True, ["ALL"])
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["volumes"] == [f"state:{STATE}"]
    assert COMPOSE["services"]["workers"]["ports"] == [f"{port}:{port}" for port in (PORT, SSH_PORT)]
    assert {COMPOSE["services"]["doorward"][kind] for kind in ("network_mode", "pid")} == {"service:workers"}
    assert COMPOSE["services"]["doorward"]["command"] == described(WANTED).run["Cmd"]
