from __future__ import annotations

import pytest

from doorward.backup.failure import CODES, BackupFailure


def test_there_are_the_codes_of_the_contract_and_no_others() -> None:
    transient = {code for code in CODES if BackupFailure(code, "").transient}
    assert transient == {
        "resolve", "connect", "timeout", "stalled", "connection_lost", "server_busy", "no_space", "quota", "verify_failed",
        "drill_failed", "no_local_space", "store_error",
    }  # fmt: skip
    assert len(CODES) == 33
    with pytest.raises(ValueError, match="no such code"):
        BackupFailure("unheard_of", "")


def test_a_message_is_one_line_for_people() -> None:
    failure = BackupFailure("connect", "a\x1b[31m\r\nb\u202e\tc " + "x" * 900)
    assert failure.message.startswith("a [31m b c xxx")
    assert len(failure.message) == 500
    assert failure.message.endswith("x…")
    assert str(BackupFailure("connect", "No way.")) == "connect: No way."
