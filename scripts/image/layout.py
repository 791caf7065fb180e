"""Writes and reads images as OCI layouts (image specification 1.1): a directory of blobs that are named after their contents."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
_BLOCK: Final = 1 << 20
_LEVEL: Final = 6
"""Of compression: a higher one takes minutes for a few percent."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that is written: its blob, and the digest of the archive in it."""

    digest: str
    size: int
    content: str


@dataclass(frozen=True, slots=True)
class Image:
    """What an image says of itself beside its layers. ``epoch`` is the time at which it was made."""

    architecture: str
    epoch: int
    version: str
    run: dict[str, Any]
    labels: dict[str, str]


class LayoutWriter:
    """An OCI layout in a new directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._blobs = directory / "blobs" / "sha256"
        self._blobs.mkdir(parents=True)

    def add(self, entries: Iterable[tuple[tarfile.TarInfo, IO[bytes] | None]]) -> Layer:
        """Write a layer from the entries of an archive, in their order."""
        with tempfile.TemporaryFile() as plain:
            with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as archive:
                for entry, content in entries:
                    archive.addfile(entry, content)
            plain.seek(0)
            content_digest = hashlib.file_digest(plain, "sha256").hexdigest()
            plain.seek(0)
            packed = self.directory / "packed"
            with packed.open("wb") as written, gzip.GzipFile("", "wb", _LEVEL, written, mtime=0) as compressed:
                shutil.copyfileobj(plain, compressed, _BLOCK)
        with packed.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        packed.rename(self._blobs / digest)
        return Layer(f"sha256:{digest}", (self._blobs / digest).stat().st_size, f"sha256:{content_digest}")

    def finish(self, image: Image, layers: list[Layer]) -> str:
        """Write what ties the layers together; return the digest of the image."""
        created = datetime.fromtimestamp(image.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        run: dict[str, Any] = {**image.run, "Labels": image.labels}
        config = self._put(
            {
                "created": created,
                "architecture": image.architecture,
                "os": "linux",
                "config": run,
                "rootfs": {"type": "layers", "diff_ids": [layer.content for layer in layers]},
                "history": [{"created": created, "created_by": "scripts/image"} for _ in layers],
            }
        )
        manifest = self._put(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {**config, "mediaType": CONFIG},
                "layers": [{"mediaType": LAYER, "digest": layer.digest, "size": layer.size} for layer in layers],
            }
        )
        name = f"localhost/doorward:{image.version}"  # the one is read by podman, the other by containerd and docker
        reference = {"org.opencontainers.image.ref.name": name, "io.containerd.image.name": name}
        index = {
            "schemaVersion": 2, "mediaType": INDEX, "manifests": [{**manifest, "mediaType": MANIFEST, "annotations": reference}]
        }  # fmt: skip
        (self.directory / "index.json").write_text(json.dumps(index, sort_keys=True))
        (self.directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
        return str(manifest["digest"])

    def _put(self, value: object) -> dict[str, Any]:
        body = json.dumps(value, sort_keys=True).encode()
        digest = hashlib.sha256(body).hexdigest()
        (self._blobs / digest).write_bytes(body)
        return {"digest": f"sha256:{digest}", "size": len(body)}


def pack(directory: Path, archive: Path) -> None:
    """Pack a layout into one file, as ``podman load`` and ``skopeo`` take it."""
    with tarfile.open(archive, "w", format=tarfile.GNU_FORMAT) as packed:
        for path in sorted(directory.rglob("*")):
            entry = packed.gettarinfo(path, str(path.relative_to(directory)))
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            entry.mode = 0o755 if path.is_dir() else 0o644
            if path.is_file():
                with path.open("rb") as content:
                    packed.addfile(entry, content)
            else:
                packed.addfile(entry)


@contextmanager
def opened(archive: Path) -> Iterator[tuple[dict[str, Any], Iterator[tarfile.TarFile]]]:
    """Open a packed layout: what it says of itself, and its layers. Raises ValueError where a digest is another one."""
    with tarfile.open(archive) as packed:

        def blob(descriptor: dict[str, Any]) -> bytes:
            kind, _, digest = str(descriptor["digest"]).partition(":")
            file = packed.extractfile(f"blobs/{kind}/{digest}")
            body = file.read() if file is not None else b""
            if hashlib.sha256(body).hexdigest() != digest or len(body) != descriptor["size"]:
                raise ValueError(f"{digest} is another one")
            return body

        def layers() -> Iterator[tarfile.TarFile]:
            for described, expected in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
                body = gzip.decompress(blob(described))
                if f"sha256:{hashlib.sha256(body).hexdigest()}" != expected:
                    raise ValueError(f"{expected} is another one")
                with tarfile.open(fileobj=io.BytesIO(body)) as layer:
                    yield layer

        file = packed.extractfile("index.json")
        [listed] = json.loads(file.read() if file is not None else b"")["manifests"]
        manifest = json.loads(blob(listed))
        config = json.loads(blob(manifest["config"]))
        yield config, layers()
