"""What control and a worker say to each other. Closed: what is not here can't be said, what does not fit is the end of the pipe.

A message is ``u32 length | MessagePack``; see `pipe`. ``session`` is the key of a session: 22 characters. A worker asks with a
number of its own (``ask``), which comes back in the answer; nothing else is matched up. No answer of control makes anything true
that control has not looked up itself: a worker only hands on what the client said.

What has to arrive carries a ``serial``, which counts them in each session from 1. A worker keeps those and sends them again after
a reconnect, until control has answered `Noted`; control passes over what it has had.
"""

import msgspec

from doorward.proxy.messages.message import MAX_MESSAGE, PipeMessage
from doorward.proxy.messages.to_control import (
    ChannelClosed,
    ChannelOpened,
    Connected,
    Counts,
    Ended,
    FindTarget,
    Happened,
    Hello,
    Identified,
    JudgeHostKey,
    Shown,
    Text,
    ToControl,
    TryKey,
    TryNone,
    TryPassword,
    TryPrompts,
    WantApproval,
    WantCredential,
    WantSeal,
    WantSignature,
)
from doorward.proxy.messages.to_worker import (
    Approval,
    Begin,
    CredentialAnswer,
    Decision,
    Follow,
    GatewayHostKey,
    Lock,
    Noted,
    Prompts,
    Refuse,
    Sealed,
    Settle,
    Show,
    Signature,
    Stop,
    TargetAnswer,
    Terminate,
    ToWorker,
    Trusted,
    Unfollow,
)

# msgspec looks at a class when it is first decoded, and two threads that are first at the same moment crash the process.
for _side in (ToControl, ToWorker):
    msgspec.msgpack.Decoder[object](_side)

__all__ = [
    "MAX_MESSAGE",
    "Approval",
    "Begin",
    "ChannelClosed",
    "ChannelOpened",
    "Connected",
    "Counts",
    "CredentialAnswer",
    "Decision",
    "Ended",
    "FindTarget",
    "Follow",
    "GatewayHostKey",
    "Happened",
    "Hello",
    "Identified",
    "JudgeHostKey",
    "Lock",
    "Noted",
    "PipeMessage",
    "Prompts",
    "Refuse",
    "Sealed",
    "Settle",
    "Show",
    "Shown",
    "Signature",
    "Stop",
    "TargetAnswer",
    "Terminate",
    "Text",
    "ToControl",
    "ToWorker",
    "Trusted",
    "TryKey",
    "TryNone",
    "TryPassword",
    "TryPrompts",
    "Unfollow",
    "WantApproval",
    "WantCredential",
    "WantSeal",
    "WantSignature",
]
