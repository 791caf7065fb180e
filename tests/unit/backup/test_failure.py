from __future__ import annotations

import errno
import os

import pytest

from doorward.backup.failure import CODES, BackupError, on_this_node


def test_there_are_the_codes_of_the_contract_and_no_others() -> None:
    transient = {code for code in CODES if BackupError(code, "").transient}
    assert transient == {
        "resolve", "connect", "timeout", "stalled", "connection_lost", "server_busy", "no_space", "quota", "verify_failed",
        "drill_failed", "no_local_space", "store_error",
    }  # fmt: skip
    assert len(CODES) == 34
    with pytest.raises(ValueError, match="no such code"):
        BackupError("unheard_of", "")


def test_a_message_is_one_line_for_people() -> None:
    failure = BackupError("connect", "a\x1b[31m\r\nb\u202e\tc " + "x" * 900)
    assert failure.message.startswith("a [31m b c xxx")
    assert len(failure.message) == 500
    assert failure.message.endswith("x…")
    assert str(BackupError("connect", "No way.")) == "connect: No way."


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "no_local_space"), (errno.EDQUOT, "no_local_space"), (errno.EIO, "store_error")]
)
def test_trouble_with_files_of_this_node_is_told_from_that_of_the_target(number: int, code: str) -> None:
    with pytest.raises(BackupError) as failed, on_this_node():
        raise OSError(number, os.strerror(number))
    assert (failed.value.code, failed.value.message) == (code, f"On this node: {os.strerror(number)}.")
