"""``/api/troubleshooting/support-bundle``: bundles for support, and their archives."""

from __future__ import annotations

from pathlib import Path

from doorward.access.rights import Rights
from doorward.api import errors
from doorward.api.request import LocalFile, Request, Response
from doorward.api.resources import FILE, ITEMS, Operation, Resource, answer_schema, envelope, meta, meta_schema
from doorward.events.support_bundles import Bundle, Bundles

BASIC = "/special/basic"

_STATUS = answer_schema(
    meta_schema("DownloadMeta", "download"),
    body={"type": "object", "properties": {"code": {"type": "string"}, "status": {"type": "string"}}, "required": ["status"]},
    key={"type": "string", "format": "uuid"},
)


class SupportBundles(Resource):
    """The support bundles."""

    operations = {
        "GET": Operation("The support bundles.", answer_schema(items=ITEMS)),
        "POST": Operation("Make a support bundle.", _STATUS, body={}, status=202, errors=(403, 409, 503)),
    }
    privilege = BASIC

    def __init__(self, bundles: Bundles) -> None:
        self._bundles = bundles

    def child(self, segment: str, _request: Request) -> Resource | None:
        """Return one bundle."""
        bundle = self._bundles.get(segment)
        return SupportBundle(self._bundles, bundle) if bundle else None

    def template(self) -> tuple[str, Resource]:
        """Return what a bundle is like."""
        return "key", SupportBundle(self._bundles, Bundle(Path(), Rights()))

    async def get(self, request: Request) -> Response:
        """List the bundles."""
        items = [
            {"body": bundle.body, "key": bundle.key, "meta": {"href": f"{request.href}/{bundle.key}"}}
            for bundle in self._bundles.all()
        ]
        return Response({"items": items, "meta": meta(request)})

    async def post(self, request: Request) -> Response:
        """Begin to make a bundle."""
        await request.read()
        bundle = await self._bundles.begin(request.member.rights, request.is_allowed)
        answer = envelope(request, bundle.key, {"status": "queued"})
        answer.status = 202
        answer.headers["Location"] = f"{request.href}/{bundle.key}"
        return answer


class SupportBundle(Resource):
    """One support bundle."""

    operations = {
        "GET": Operation("How far the bundle is.", _STATUS),
        "DELETE": Operation("Remove the bundle, or give up making it.", answer_schema(), errors=(403,)),
    }
    privilege = BASIC

    def __init__(self, bundles: Bundles, bundle: Bundle) -> None:
        self._bundles, self._bundle = bundles, bundle
        self.children = {"download": BundleDownload(bundle)}

    async def get(self, request: Request) -> Response:
        """Answer the status."""
        return envelope(request, self._bundle.key, self._bundle.body, download=f"{request.href}/download")

    async def delete(self, request: Request) -> Response:
        """Remove the bundle."""
        self._bundles.remove(self._bundle)
        return Response({"meta": meta(request)})


class BundleDownload(Resource):
    """The archive of a bundle."""

    operations = {"GET": Operation("The archive.", FILE, errors=(409,), media_type="application/gzip")}
    privilege = BASIC

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle

    def may_read(self, request: Request) -> bool:
        """Who may read what its maker could."""
        return super().may_read(request) and request.member.rights.covers(self._bundle.rights)

    async def get(self, request: Request) -> Response:
        """Answer the bytes of the archive."""
        if self._bundle.status != "finished":
            raise errors.conflict("The support bundle is not finished.", resource=request.href)
        return Response(LocalFile(self._bundle.path), headers={"Content-Type": "application/gzip"})
