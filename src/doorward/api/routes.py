"""The API as a whole: which resource hangs where."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from doorward.access.authentication import Authenticator
from doorward.access.guard import Guard
from doorward.access.logins import Logins
from doorward.access.setup_code import SetupCode
from doorward.access.tokens import Tokens
from doorward.api.app import Application
from doorward.api.authentication import Authentication
from doorward.api.backup.uploads import Upload
from doorward.api.batch import CommitsAndBatches
from doorward.api.cluster.shared import Shared
from doorward.api.cluster.status import cluster_resources
from doorward.api.configuration import Configuration
from doorward.api.drift import DriftResource
from doorward.api.fast_response import FastResponses
from doorward.api.firmware import firmware_resources
from doorward.api.history import Revisions
from doorward.api.information import Info, UserInfo
from doorward.api.live import LiveNews
from doorward.api.metrics import Metrics
from doorward.api.openapi import OpenApi
from doorward.api.own_password import OwnPassword
from doorward.api.previews import Preview
from doorward.api.proposals import ProposalCollection, ProposalParts
from doorward.api.request import Request
from doorward.api.resources import Container, Deferred, Resource
from doorward.api.setup import Setup
from doorward.api.ssh_host_keys import SshHostKeys
from doorward.api.status import Health, HealthStatus
from doorward.api.support_bundles import SupportBundles
from doorward.api.time_status import TimeStatusResource
from doorward.api.tokens import ACCOUNTS, AllTokens, OwnTokens
from doorward.api.tools import tools
from doorward.api.transaction import Transaction
from doorward.api.welcome import Welcome
from doorward.areas.area import Issue, Metric
from doorward.backup.service import Backups
from doorward.backup.temporary_files import TemporaryFiles
from doorward.cluster.cluster import Cluster
from doorward.events.drift import DriftWatch
from doorward.events.notifications import Notifications
from doorward.events.support_bundles import Bundles
from doorward.host.ntp_probe import Prober
from doorward.proxy.control.figures import Figures
from doorward.sessions.audience import audience
from doorward.sessions.catalogue.port import SessionCatalogue
from doorward.sessions.host_keys import TrustedHostKeys
from doorward.sessions.live import LiveSessions
from doorward.sessions.trails import Trails
from doorward.transaction.commits import CommitService

if TYPE_CHECKING:
    from doorward.api.audit.service import AuditService


class ApiParts(Struct, frozen=True):
    """What the API is made of. ``state`` is the state directory, ``setup_code`` what first settings come with."""

    service: CommitService
    logins: Logins
    tokens: Tokens
    authenticator: Authenticator
    guard: Guard
    prober: Prober
    notifications: Notifications
    backups: Backups
    uploads: TemporaryFiles
    exports: TemporaryFiles
    state: Path
    cluster: Cluster
    setup_code: SetupCode | None
    issues: Callable[[], Iterable[Issue]]
    """What is wrong with any area."""
    metrics: Callable[[], Iterable[Metric]]
    """The figures of all areas."""
    catalogue: SessionCatalogue
    trails: Trails
    live: LiveSessions
    host_keys: TrustedHostKeys
    figures: Callable[[], Figures]
    drift: DriftWatch


class AuditBranch(Deferred):
    """What was recorded: for whoever may see sessions."""

    def __init__(self, parts: ApiParts) -> None:
        super().__init__(partial(audit_resources, parts))
        self._pipeline = parts.service.pipeline

    def may_read(self, request: Request) -> bool:
        """Whether there can be sessions that the caller may see."""
        return audience(self._pipeline.running.snapshot, request.member.name, request.member.rights).sees_some


class LiveAndLater(Deferred):
    """What goes on right now, for those who watch over it."""

    listed = False


def audit_service(parts: ApiParts) -> AuditService:
    """Return what the resources of ``/api/audit`` share, and those of ``/api/sessions``."""
    from doorward.api.audit.service import AuditService

    running = parts.service.pipeline
    return AuditService(
        parts.catalogue, parts.trails, parts.live, lambda: running.running.snapshot, nodes=parts.cluster.search.nodes
    )  # fmt: skip


def audit_resources(parts: ApiParts) -> dict[str, Resource]:
    """Return what hangs below ``/api/audit``."""
    from doorward.api.audit.sessions import SessionList

    return {"sessions": SessionList(audit_service(parts))}


def live_resources(parts: ApiParts) -> dict[str, Resource]:
    """Return what hangs below ``/api/sessions``."""
    from doorward.api.sessions.live import LiveCollection

    return {"live": LiveCollection(audit_service(parts))}


def backup_resources(parts: ApiParts) -> dict[str, Resource]:
    """Return what hangs below ``/api/backup``."""
    from doorward.api.backup.drills import Drills
    from doorward.api.backup.exports import Exports
    from doorward.api.backup.files import ArchiveFiles
    from doorward.api.backup.restores import RestoreCollection
    from doorward.api.backup.runs import BackupStatus, Runs
    from doorward.api.backup.signing_keys import SigningKeys
    from doorward.api.backup.targets import HostKeyScan, TargetTests
    from doorward.api.backup.uploads import Uploads
    from doorward.backup.restore.service import RestoreService

    backups, uploads = parts.backups, parts.uploads
    node = backups.node
    return {
        "drills": Drills(backups),
        "exports": Exports(node, parts.exports),
        "files": ArchiveFiles(backups),
        "host_keys": HostKeyScan(backups),
        "restores": RestoreCollection(RestoreService(node, parts.service, parts.logins, uploads, backups.fetch)),
        "runs": Runs(backups),
        "signing_keys": SigningKeys(node.signing),
        "status": BackupStatus(backups),
        "target_tests": TargetTests(backups),
        "uploads": Uploads(uploads),
    }


def news_of(parts: ApiParts, bundles: Bundles) -> dict[str, Callable[[], object]]:
    """Return what pages show that changes by itself, by its topic: values in memory, compared several times a second."""
    pipeline, cluster, drift = parts.service.pipeline, parts.cluster, parts.drift
    seen = ("key", "status", "sync_status")

    def nodes() -> object:
        if cluster.cluster_role.state == "central":
            return [[item.get(name) for name in seen] for item in cluster.statuses()]
        return cluster.cluster_role.state, cluster.unreachable_since()

    return {
        "cluster": nodes,
        "health": lambda: (pipeline.unknown, [one.warning.message for one in drift.found()], nodes()),
        "runs": lambda: (pipeline.store.record_writes, [(one.key, one.status) for one in bundles.all()]),
        "sessions": lambda: [(one.key, one.is_locked) for one in parts.live.all()],
    }


def application(parts: ApiParts) -> Application:
    """Put the API together."""
    pipeline = parts.service.pipeline
    cluster = parts.cluster
    health = Health(pipeline, parts.issues)
    metrics = Metrics(pipeline, parts.logins, health, parts.metrics, parts.figures)
    configuration = Configuration(pipeline, parts.logins, parts.prober, cluster.unreachable_since)
    preview = Preview(pipeline, parts.logins)
    transaction = Transaction(parts.service, preview)
    health_status = HealthStatus(health, parts.state, parts.figures)
    bundles = Bundles(parts.state / "bundles", pipeline, health_status.figures)
    backup = Deferred(partial(backup_resources, parts))
    audit, live = AuditBranch(parts), LiveAndLater(partial(live_resources, parts))
    authentication = Authentication(parts.logins, parts.authenticator, parts.guard, parts.notifications.events)
    spellings = {other: endpoint.path for other, endpoint in pipeline.tree.aliases.items()}
    spellings["/api/health-status"] = "/api/health_status"
    tokens = parts.tokens
    api: dict[str, Resource] = {
        **firmware_resources({"backup": Upload(parts.uploads)}),
        "backup": backup,
        "audit": audit,
        "authentication": authentication,
        "cluster": cluster_resources(Shared(pipeline.tree, lambda: pipeline.running, cluster)),
        "commits": CommitsAndBatches(parts.service, transaction, configuration),
        "configuration": configuration.resource(),
        "drift": DriftResource(parts.service, configuration, parts.drift),
        "health_status": health_status,
        "info": Info(lambda: pipeline.running, cluster.node_id),
        "live": LiveNews(lambda: pipeline.running.number, parts.service.confirmations, parts.logins, news_of(parts, bundles)),
        "metrics": metrics,
        "proposals": ProposalCollection(ProposalParts(parts.service, preview)),
        "revisions": Revisions(parts.service),
        "sessions": live,
        "time_status": TimeStatusResource(pipeline),
        "ssh-host-keys": SshHostKeys(parts.host_keys, parts.backups.host_keys, lambda: cluster.cluster_role.managed),
        "tokens": AllTokens(tokens, pipeline.tree[ACCOUNTS].privilege),
        "tools": tools(lambda: pipeline.running, parts.notifications.try_mail, pipeline.secrets.text),
        "transaction": transaction,
        "troubleshooting": Container({"support-bundle": SupportBundles(bundles)}),
        "user": Container(
            {
                "info": UserInfo(),
                "password": OwnPassword(parts.service, authentication, tokens),
                "tokens": OwnTokens(tokens, spellings.items),
            }
        ),
    }
    root = Welcome({"api": Container(api)})
    app = Application(root, parts.logins, spellings, tokens)
    api["setup"] = Setup(app, parts.service, parts.guard, parts.notifications.events, parts.setup_code)
    api["openapi.json"] = OpenApi(root)
    app.hot = metrics.hot = FastResponses(pipeline.tree, lambda: pipeline.running, parts.logins)
    app.counted = metrics.count
    app.deferred |= {b"/api/audit": audit, b"/api/backup": backup, b"/api/sessions": live}
    return app
