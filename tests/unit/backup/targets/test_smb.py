"""What an SMB server refuses with, and which code that is."""

from __future__ import annotations

import pytest
from smbprotocol.exceptions import (
    SMB2ErrorResponse,
    SMBAuthenticationError,
    SMBConnectionClosed,
    SMBException,
    SMBResponseException,
)
from smbprotocol.header import SMB2HeaderResponse

from doorward.backup.failure import BackupError
from doorward.backup.targets.smb_session import meaning


def refusal(status: int, data: bytes = b"") -> SMBResponseException:
    header = SMB2HeaderResponse()
    header["status"] = status
    header["data"] = data or SMB2ErrorResponse().pack()
    return SMBResponseException(header)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (0xC000006D, "auth_failed"),  # LOGON_FAILURE
        (0xC0000234, "auth_failed"),  # ACCOUNT_LOCKED_OUT
        (0xC0000071, "auth_failed"),  # PASSWORD_EXPIRED
        (0xC0000072, "auth_failed"),  # ACCOUNT_DISABLED
        (0xC00000CC, "no_such_path"),  # BAD_NETWORK_NAME
        (0xC0000034, "no_such_path"),  # OBJECT_NAME_NOT_FOUND
        (0xC0000103, "no_such_path"),  # NOT_A_DIRECTORY
        (0xC0000022, "permission_denied"),  # ACCESS_DENIED
        (0xC00000A2, "read_only_target"),  # MEDIA_WRITE_PROTECTED
        (0xC000007F, "no_space"),  # DISK_FULL
        (0xC0000044, "quota"),  # QUOTA_EXCEEDED
        (0xC0000802, "quota"),  # DISK_QUOTA_EXCEEDED
        (0xC0000035, "name_exists"),  # OBJECT_NAME_COLLISION
        (0xC00000BB, "protocol_unavailable"),  # NOT_SUPPORTED
        (0xC0000203, "connection_lost"),  # USER_SESSION_DELETED
        (0xC0000418, "auth_failed"),  # NTLM_BLOCKED
        (0xC0000133, "auth_failed"),  # TIME_DIFFERENCE_AT_DC
        (0xC0000413, "auth_failed"),  # AUTHENTICATION_FIREWALL_FAILED
        (0xC000000D, "protocol_unavailable"),  # INVALID_PARAMETER
        (0xC0000236, "protocol_unavailable"),  # CONNECTION_REFUSED
        (0xC0000123, "no_such_path"),  # FILE_DELETED
        (0xC0000904, "no_space"),  # FILE_TOO_LARGE
        (0xC000009A, "server_busy"),  # INSUFFICIENT_RESOURCES
        (0xC00000CE, "server_busy"),  # TOO_MANY_SESSIONS
        (0xC000005E, "server_busy"),  # NO_LOGON_SERVERS
        (0xC0000043, "server_busy"),  # SHARING_VIOLATION
        (0xC00000D0, "server_busy"),  # REQUEST_NOT_ACCEPTED
    ],
)
def test_a_status_tells_the_code(status: int, code: str) -> None:
    found, words = meaning(refusal(status))
    assert found == code
    assert words.endswith(f"0x{status:x}")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SMBAuthenticationError("no credentials"), "auth_failed"),
        (SMBException("... but session was authenticated as a guest which ..."), "guest_refused"),
        (SMBException("Connection timeout of 3 seconds exceeded"), "timeout"),
        (SMBConnectionClosed("closed"), "connection_lost"),
        (BrokenPipeError("broken"), "connection_lost"),
        (KeyError(5), "connection_lost"),
    ],
)
def test_an_error_tells_the_code(error: Exception, code: str) -> None:
    found, words = meaning(error)
    assert found == code
    assert words


def test_an_unknown_status_is_not_one_that_goes_by_itself() -> None:
    for status in (0xC0000001, 0xC000ABCD, 0xC01C0001):
        code, words = meaning(refusal(status))
        assert not BackupError(code, words).transient
        assert code == "protocol_unavailable"


def test_words_of_the_server_are_not_those_of_the_library() -> None:
    error = SMBException(r"No such share \\host\Connection timeout of 3 seconds, authenticated as a guest")
    assert meaning(error)[0] == "connection_lost"


def test_a_refusal_without_sense_is_one_all_the_same() -> None:
    assert meaning(refusal(0xC0000022, b"\x01")) == ("permission_denied", "status 0xc0000022")
