"""Where files go and who is told: what backup policies and archive policies share."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.configuration.policies.checks import ARCHIVES, BACKUPS, changed, problems, stored, warned, without
from tests.unit.configuration.policies.samples import (
    ANONYMOUS,
    ARCHIVE,
    BACKUP,
    BACKUP_NFS,
    BACKUP_S3,
    BACKUP_SMB,
    HOST_KEY,
    KEY,
    NFS,
    RSYNC,
    S3,
    SMB,
)

BOTH = [(BACKUPS, BACKUP_NFS), (ARCHIVES, ARCHIVE)]
ECDSA = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHXlfgHwWPnCHaXlGJsrWfqpaWysZNptYv374J6lM6dU"
    "I177QGObCvgAU/AJNpiHbmGn4CTmnqxYpT3Y4W0agew="
)


@pytest.mark.parametrize(("path", "policy"), BOTH)
@pytest.mark.parametrize(
    ("event", "found"),
    [
        ({"type": "none"}, {"type": "none"}),
        ({"type": "errors-only"}, {"type": "errors-only"}),
        ({"type": "all"}, {"send_filelist": False, "type": "all"}),
        ({"send_filelist": False, "type": "all"}, {"send_filelist": False, "type": "all"}),
        ({"send_filelist": True, "type": "all"}, {"file_count_limit": 1000, "send_filelist": True, "type": "all"}),
        (
            {"file_count_limit": 1, "send_filelist": True, "type": "all"},
            {"file_count_limit": 1, "send_filelist": True, "type": "all"},
        ),
    ],
)
def test_who_is_told(path: str, policy: Any, event: Any, found: Any) -> None:
    assert stored(path, {**policy, "notification_event": event})["notification_event"] == found


@pytest.mark.parametrize(("path", "policy"), BOTH)
@pytest.mark.parametrize(
    ("event", "found"),
    [
        ({}, ("missing", "/type")),
        ({"send_filelist": True}, ("missing", "/type")),
        ({"type": "some"}, ("enum", "/type")),
        ({"type": True}, ("type", "/type")),
        (None, ("type", "")),
        ([], ("type", "")),
        ({"send_filelist": 1, "type": "all"}, ("type", "/send_filelist")),
        ({"send_filelist": None, "type": "all"}, ("type", "/send_filelist")),
        ({"file_count_limit": 0, "send_filelist": True, "type": "all"}, ("range", "/file_count_limit")),
        ({"file_count_limit": 1000001, "send_filelist": True, "type": "all"}, ("range", "/file_count_limit")),
        ({"send_filelist": True, "type": "none"}, ("unknown_member", "/send_filelist")),
    ],
)
def test_what_nobody_can_be_told(path: str, policy: Any, event: Any, found: tuple[str, str]) -> None:
    code, pointer = found
    assert problems(path, {**policy, "notification_event": event}) == [(code, f"/notification_event{pointer}")]


@pytest.mark.parametrize(("path", "policy"), BOTH)
def test_the_limit_is_hidden_while_no_list_is_sent(path: str, policy: Any) -> None:
    event = {"file_count_limit": 5, "send_filelist": False, "type": "all"}
    assert warned(path, {**policy, "notification_event": event}) == [("hidden_member", "/notification_event/file_count_limit")]
    assert stored(path, {**policy, "notification_event": event})["notification_event"] == {"send_filelist": False, "type": "all"}


@pytest.mark.parametrize(("path", "policy"), BOTH)
@pytest.mark.parametrize(
    ("times", "found"),
    [
        ([f"{hour:02}:00" for hour in range(24)], []),
        ([f"{hour:02}:00" for hour in range(24)] + ["00:30"], [("length", "")]),
        (["23:59", "00:00"], []),
        (["1:00"], [("format", "/0")]),
        (["24:00", "12:60", "noon", ""], [("format", f"/{index}") for index in range(4)]),
        (["\u0661\u0662:\u0663\u0660"], [("format", "/0")]),
        (["10:00", "11:00", "10:00"], [("duplicate", "/2")]),
        ("10:00", [("type", "")]),
    ],
)
def test_start_times(path: str, policy: Any, times: Any, found: list[tuple[str, str]]) -> None:
    expected = [(code, f"/start_times{pointer}") for code, pointer in found]
    assert problems(path, {**policy, "start_times": times}) == expected


def test_start_times_keep_their_order() -> None:
    assert stored(BACKUPS, {**BACKUP_NFS, "start_times": ["13:30", "01:30"]})["start_times"] == ["13:30", "01:30"]


@pytest.mark.parametrize(
    ("path", "allowed"), [(BACKUPS, {"rsync", "smb", "nfs", "s3"}), (ARCHIVES, {"none", "smb", "nfs", "s3"})]
)
@pytest.mark.parametrize("kind", ["rsync", "smb", "nfs", "s3", "none", "ftp"])
def test_kinds_of_targets(path: str, allowed: set[str], kind: str) -> None:
    policy = dict(BOTH)[path]
    target = {"rsync": RSYNC, "smb": SMB, "nfs": NFS, "s3": S3}.get(kind, {"type": kind})
    assert problems(path, {**policy, "target": target}) == ([] if kind in allowed else [("enum", "/target/type")])


PATHS: list[tuple[str, str]] = [
    ("/srv", ""),
    ("/srv/back up/\u00e9", ""),
    ("/" + "x" * 1023, ""),
    ("/" + "x" * 1024, "length"),
    ("", "length"),
    ("/", "format"),
    ("//srv", "format"),
    ("/srv/", "format"),
    ("/srv//x", "format"),
    ("/srv/../etc", "format"),
    ("..", "format"),
    ("-rf", "format"),
    ("~/x", "format"),
    ("~root", "format"),
    ("/a\nb", "format"),
    ("/a\x00b", "format"),
    ("/srv ", "format"),
    ("/...", ""),
    ("/a..b", ""),
]


@pytest.mark.parametrize(("name", "code"), [*PATHS, ("relative/path", ""), (".", "")])
def test_directories_of_rsync(name: str, code: str) -> None:
    found = [(code, "/target/path")] if code else []
    assert problems(BACKUPS, changed(BACKUP, "target/path", name)) == found


@pytest.mark.parametrize(("path", "policy"), BOTH)
@pytest.mark.parametrize(("name", "code"), [*PATHS, ("relative/path", "format")])
def test_directories_of_nfs(path: str, policy: Any, name: str, code: str) -> None:
    found = [(code, "/target/path")] if code else []
    assert problems(path, changed(policy, "target/path", name)) == found


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", ""),
        ("a/b c/\u00e9", ""),
        ("/a", "format"),
        ("a/", "format"),
        ("a//b", "format"),
        ("a/../b", "format"),
        ("..", "format"),
        *((f"a{bad}b", "format") for bad in '\\:*?"<>|'),
        ("a\tb", "format"),
        ("x" * 1025, "length"),
    ],
)
def test_directories_of_shares(name: str, code: str) -> None:
    assert problems(BACKUPS, changed(BACKUP_SMB, "target/path", name)) == ([(code, "/target/path")] if code else [])


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("b", ""),
        ("backup$", ""),
        ("With Blank", ""),
        ("x" * 80, ""),
        ("x" * 81, "length"),
        ("", "length"),
        *((f"a{bad}", "format") for bad in '\\/:*?"<>|'),
        ("a\n", "format"),
    ],
)
def test_names_of_shares(name: str, code: str) -> None:
    assert problems(BACKUPS, changed(BACKUP_SMB, "target/share", name)) == ([(code, "/target/share")] if code else [])


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a", ""),
        ("J.o-e_@x", ""),
        ("x" * 64, ""),
        ("x" * 65, "length"),
        ("", "length"),
        ("-l", "format"),
        ("a b", "format"),
        ("a;b", "format"),
    ],
)
def test_user_names_of_rsync(name: str, code: str) -> None:
    assert problems(BACKUPS, changed(BACKUP, "target/username", name)) == ([(code, "/target/username")] if code else [])


@pytest.mark.parametrize(("policy", "default"), [(BACKUP, 22), (BACKUP_SMB, 445)])
def test_ports(policy: Any, default: int) -> None:
    assert stored(BACKUPS, without(policy, "target/port"))["target"]["port"] == default
    for port in (1, 65535):
        assert problems(BACKUPS, changed(policy, "target/port", port)) == []
    for port in (0, 65536):
        assert problems(BACKUPS, changed(policy, "target/port", port)) == [("range", "/target/port")]


def test_host_keys_lose_their_comment() -> None:
    given = [f"{HOST_KEY} root@backup 2026", f"  {ECDSA}  "]
    assert stored(BACKUPS, changed(BACKUP, "target/server_host_keys", given))["target"]["server_host_keys"] == [HOST_KEY, ECDSA]


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ([], [("length", "")]),
        ([HOST_KEY, f"{HOST_KEY} other"], [("duplicate", "/1")]),
        ([HOST_KEY] * 5, [("duplicate", "/1"), ("duplicate", "/2"), ("duplicate", "/3"), ("duplicate", "/4"), ("length", "")]),
        ([""], [("format", "/0")]),
        (["ssh-ed25519"], [("format", "/0")]),
        ([HOST_KEY.replace("ssh-ed25519 ", "")], [("format", "/0")]),
        ([HOST_KEY.replace("ssh-ed25519", "ssh-rsa")], [("format", "/0")]),
        ([HOST_KEY[:-4]], [("format", "/0")]),
        ([HOST_KEY.replace("AAAA", "AA=A")], [("format", "/0")]),
        ([HOST_KEY + "\nssh-rsa x"], [("format", "/0")]),
        (["ssh-dss AAAAB3NzaC1kc3M="], [("format", "/0")]),
        (["ssh-ed25519-cert-v01@openssh.com AAAA"], [("format", "/0")]),
        (["backup.example.com " + HOST_KEY], [("format", "/0")]),
    ],
)
def test_host_keys(keys: Any, found: list[tuple[str, str]]) -> None:
    expected = sorted((code, f"/target/server_host_keys{pointer}") for code, pointer in found)
    assert sorted(problems(BACKUPS, changed(BACKUP, "target/server_host_keys", keys))) == expected


@pytest.mark.parametrize("required", ["server", "username", "path", "authentication_key", "server_host_keys", "type"])
def test_what_rsync_needs(required: str) -> None:
    assert problems(BACKUPS, without(BACKUP, f"target/{required}")) == [("missing", f"/target/{required}")]


def test_rsync_knows_no_password() -> None:
    assert problems(BACKUPS, changed(BACKUP, "target/password", KEY)) == [("unknown_member", "/target/password")]


@pytest.mark.parametrize("required", ["server", "share", "authentication"])
def test_what_smb_needs(required: str) -> None:
    assert problems(BACKUPS, without(BACKUP_SMB, f"target/{required}")) == [("missing", f"/target/{required}")]


@pytest.mark.parametrize("required", ["server", "path"])
def test_what_nfs_needs(required: str) -> None:
    assert problems(BACKUPS, without(BACKUP_NFS, f"target/{required}")) == [("missing", f"/target/{required}")]


def test_what_smb_takes_for_what_is_left_out() -> None:
    few = {name: SMB[name] for name in ("type", "server", "share")}
    few["authentication"] = {"selection": "password", "username": "x", "password": KEY}
    found = stored(BACKUPS, {**BACKUP_SMB, "target": few})["target"]
    assert found["authentication"] == {"domain": None, "password": KEY, "selection": "password", "username": "x"}
    assert {name: found[name] for name in ("path", "port", "protocol_version", "encryption")} == {
        "path": "", "port": 445, "protocol_version": "auto", "encryption": True,
    }  # fmt: skip


@pytest.mark.parametrize("version", ["auto", "3.0", "3.0.2", "3.1.1"])
def test_versions_of_smb(version: str) -> None:
    assert problems(BACKUPS, changed(BACKUP_SMB, "target/protocol_version", version)) == []


@pytest.mark.parametrize("version", ["1", "2.1", "3", "AUTO", ""])
def test_versions_of_smb_that_are_never_spoken(version: str) -> None:
    assert problems(BACKUPS, changed(BACKUP_SMB, "target/protocol_version", version)) == [("enum", "/target/protocol_version")]


@pytest.mark.parametrize(
    ("at", "value", "code"),
    [
        ("username", "", "length"),
        ("username", "x" * 256, ""),
        ("username", "x" * 257, "length"),
        ("domain", None, ""),
        ("domain", "", "length"),
        ("password", None, "type"),
        ("password", "a/b", "format"),
        ("selection", "kerberos", "enum"),
    ],
)
def test_logins_of_smb(at: str, value: Any, code: str) -> None:
    found = [(code, f"/target/authentication/{at}")] if code else []
    assert problems(BACKUPS, changed(BACKUP_SMB, f"target/authentication/{at}", value)) == found


@pytest.mark.parametrize(("path", "policy"), BOTH)
def test_without_a_login_there_is_no_encryption(path: str, policy: Any) -> None:
    assert problems(path, {**policy, "target": ANONYMOUS}) == []
    for target in ({**ANONYMOUS, "encryption": True}, without(ANONYMOUS, "encryption")):
        assert problems(path, {**policy, "target": target}) == [("contradiction", "/target/encryption")]


def test_a_contradiction_is_said_together_with_the_rest() -> None:
    target = {**ANONYMOUS, "encryption": True, "port": 0, "share": ""}
    assert problems(BACKUPS, {**BACKUP_SMB, "name": "", "target": target}) == [
        ("length", "/name"),
        ("contradiction", "/target/encryption"),
        ("range", "/target/port"),
        ("length", "/target/share"),
    ]


@pytest.mark.parametrize("broken", [5, [], None, {"selection": 5}])
def test_what_is_no_login_is_no_contradiction(broken: Any) -> None:
    found = problems(BACKUPS, changed(BACKUP_SMB, "target/authentication", broken))
    assert [code for code, _ in found] == ["type"]


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        *(("endpoint", f"https://{good}", "") for good in ("s3", "s3.example.com", "10.0.0.1:1", "[fd00::1]:9000", "x:65535")),
        *(
            ("endpoint", bad, "format")
            for bad in (
                "http://s3", "https://", "https://s3/", "https://s3/x", "https://u@s3", "https://s3?x", "https://S3", "s3", "https://s3:0",
                "https://s3:65536", "https://s3:x", "https://[::1", "https://s3 ", "https://a_b", "https://s3#", "https://0.0.0.0",
            )
        ),
        *(("bucket", good, "") for good in ("abc", "a.b-c", "x" * 63)),
        *(("bucket", bad, code) for bad, code in (("ab", "length"), ("x" * 64, "length"), ("Abc", "format"), ("-ab", "format"))),
        *(("prefix", good, "") for good in ("", "a", "a/b.c/_-D", "..a", "a/...")),
        *(("prefix", bad, "format") for bad in ("/a", "a/", "a//b", "..", "a/../b", ".", "a b", "\u00e9", "a?b", "a\n")),
        *(("region", bad, "format") for bad in ("", "EU", "eu/x", "eu\n")),
        *(("access_key_id", bad, "format") for bad in ("", "a b", "a/b", "a\n")),
        ("server_certificate_ca", KEY, ""),
        ("secret_access_key", None, "type"),
        ("object_lock", {"enabled": False}, ""),
    ],
)  # fmt: skip
def test_buckets(member: str, value: Any, code: str) -> None:
    found = [(code, f"/target/{member}")] if code else []
    assert problems(BACKUPS, changed(BACKUP_S3, f"target/{member}", value)) == found


def test_what_is_left_out_of_a_bucket_takes_its_default() -> None:
    body = BACKUP_S3
    for member in ("region", "prefix", "path_style", "server_certificate_ca", "object_lock"):
        body = without(body, f"target/{member}")
    assert stored(BACKUPS, body)["target"] == {**S3, "prefix": "", "object_lock": {"enabled": False}}


def test_there_is_nothing_before_an_address() -> None:
    named = changed(BACKUP_S3, "target/path_style", new=False)
    assert problems(BACKUPS, named) == []
    assert problems(BACKUPS, changed(named, "target/endpoint", "https://10.0.0.1")) == [("contradiction", "/target/path_style")]


@pytest.mark.parametrize(
    ("days", "retention", "found"),
    [
        (30, {"enabled": True, "keep_days": 30, "keep_last": 1}, []),
        (31, {"enabled": True, "keep_days": 30, "keep_last": 1}, [("contradiction", "/target/object_lock/days")]),
        (31, {"enabled": False}, []),
        (31, None, [("type", "/retention")]),
    ],
)
def test_nothing_is_locked_for_longer_than_it_is_kept(days: int, retention: Any, found: list[tuple[str, str]]) -> None:
    policy = changed({**BACKUP_S3, "retention": retention}, "target/object_lock/days", days)
    assert problems(BACKUPS, policy) == found
