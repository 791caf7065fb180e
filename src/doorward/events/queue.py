"""The queue of mails: in the store, so that it survives a crash; tried at once, then less and less often for a day."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable

import structlog
from msgspec import Struct
from msgspec.structs import replace

from doorward.areas.worker import Worker
from doorward.events.mail import Mail, MailError, NoServerError
from doorward.store.port import Store
from doorward.store.records import Records

log = structlog.get_logger()

KIND = "mail"
"""Under which the store keeps the mails that wait."""

_FIRST_TRIES = (0, 60, 300, 900, 3600)
_HOUR = 3600
_DAY = 24 * _HOUR
_MAX_WAITING = 1_000
_MAX_WAIT = 60.0
_MAX_UNKNOWN, _UNKNOWN_SECONDS = 2, float(_HOUR)
"""A mail that may have been taken goes out so often at most, after such a pause: one copy too many is better than none at all."""


def next_try(queued: float, now: float) -> float | None:
    """Return when a mail is tried again; None: never, its day is over."""
    tries = (queued + after for after in (*_FIRST_TRIES, *range(2 * _HOUR, _DAY + 1, _HOUR)))
    return next((at for at in tries if at > now), None)


class _Failure(Struct, frozen=True):
    """Why a mail was not sent; ``is_unknown``: it may have been."""

    code: str
    reason: str
    is_unknown: bool = False


class MailQueue:
    """Mails that wait, and the worker that sends them. ``deliver`` raises MailError or NoServerError; ``clock`` is Unix time."""

    def __init__(self, store: Store, deliver: Callable[[Mail], None], clock: Callable[[], float] = time.time) -> None:
        self._store, self._deliver, self._clock = Records(store, KIND, Mail), deliver, clock
        self._mails: dict[str, Mail] = {}
        """What the store holds, and what it would not take: a mail about a full disk must leave all the same."""
        self._changing = threading.Lock()
        self._worker = Worker("mail", self._turn)

    def __len__(self) -> int:
        return len(self._mails)

    def start(self) -> None:
        """Take up what an earlier run left, and begin to send."""
        left = {mail.id: mail for mail in reversed(self._store.find())}
        with self._changing:
            self._mails = left | self._mails  # some may have been posted meanwhile
        self._worker.start()

    def stop(self) -> None:
        """End after the mail that is being sent."""
        self._worker.stop()

    def post(self, recipient: str, subject: str, text: str) -> None:
        """Add a mail; it is on the disk when this returns, unless the disk refuses."""
        now = self._clock()
        mail = Mail(uuid.uuid4().hex, recipient, subject, text, now, now)
        if len(self._mails) >= _MAX_WAITING:
            log.error("mail dropped", mail=mail.id, reason=f"{_MAX_WAITING} mails wait already")
            return
        self._keep(mail)
        with self._changing:
            self._mails[mail.id] = mail
        self._worker.wake()

    def at_risk(self, mail: Mail) -> None:
        """Note that a mail is going out: should this process end before the server has answered, it may have been taken."""
        with self._changing:
            self._mails[mail.id] = noted = replace(mail, unknown=mail.unknown + 1, due=self._clock() + _UNKNOWN_SECONDS)
        self._keep(noted)

    def try_due(self) -> None:
        """Try the mails that are due. Where the server can't be talked to, the others are not tried in vain."""
        now = self._clock()
        with self._changing:
            # A mail that was queued at a time still to come waits for a clock that has been set back since.
            # They go in the order in which they were posted, which no clock changes.
            due = [mail for mail in self._mails.values() if mail.due <= now or mail.queued > now]
        down: _Failure | None = None
        for mail in due:
            if self._worker.is_stopping:
                return
            if mail.unknown >= _MAX_UNKNOWN:  # the last time this process ended before there was an answer
                self._give_up(mail, _Failure("connect", "Twice it is not known whether the server took it."))
                continue
            failure = down or self._tried(mail)
            if failure is None:
                self._forget(mail)
                log.info("mail sent", mail=mail.id, recipient=mail.recipient)
            else:
                down = replace(failure, is_unknown=False) if failure.code != "rejected" else None
                self._again(mail, failure)

    def _tried(self, mail: Mail) -> _Failure | None:
        """Try a mail; return the failure."""
        try:
            self._deliver(mail)
        except MailError as failed:
            return _Failure(failed.code, failed.message, failed.is_unknown)
        except NoServerError:
            return _Failure("no_server", "No mail server is set.")
        except Exception as error:
            log.exception("a mail could not be made", mail=mail.id)
            return _Failure("rejected", type(error).__name__)
        return None

    def _give_up(self, mail: Mail, failure: _Failure) -> None:
        self._forget(mail)
        log.error("mail dropped", mail=mail.id, recipient=mail.recipient, code=failure.code, reason=failure.reason)

    def _again(self, mail: Mail, failure: _Failure) -> None:
        """Try again later what was not taken. What may have been taken is tried once more, and not soon."""
        now = self._clock()
        unknown = mail.unknown + failure.is_unknown
        if unknown >= _MAX_UNKNOWN:
            self._give_up(mail, failure)
            return
        queued = min(mail.queued, now)
        due = now + _UNKNOWN_SECONDS if failure.is_unknown else next_try(queued, now)
        if due is None:
            self._give_up(mail, failure)
            return
        later = replace(mail, due=due, queued=queued, unknown=unknown)
        with self._changing:
            self._mails[mail.id] = later
        self._keep(later)
        log.warning("mail not sent", mail=mail.id, recipient=mail.recipient, code=failure.code, reason=failure.reason)

    def _forget(self, mail: Mail) -> None:
        with self._changing:
            self._mails.pop(mail.id, None)
        self._kept(lambda: self._store.remove(mail.id))

    def _keep(self, mail: Mail) -> None:
        self._kept(lambda: self._store.put(mail))

    def _kept(self, write: Callable[[], None]) -> None:
        try:
            write()
        except Exception as error:  # noqa: BLE001 - the store says so itself; the mail goes on from memory
            log.warning("a mail is not kept on the disk as it should be", error=type(error).__name__)

    def _turn(self) -> float:
        self.try_due()
        return self._seconds_to_next()

    def _seconds_to_next(self) -> float:
        """Return how long to wait at most; clocks are set now and then."""
        with self._changing:
            first = min((mail.due for mail in self._mails.values()), default=None)
        return _MAX_WAIT if first is None else max(0.0, min(_MAX_WAIT, first - self._clock()))
