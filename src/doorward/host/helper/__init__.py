"""The part of Doorward that may be root: it changes the machine for a front that may not, step by step, over a Unix socket.

The engine stays with the front; each step of a resource kind is one request (`wire`). The helper knows which resources Doorward
makes of a configuration, checks every one of them (`permitted`), carries the step out with the same kinds as ever (`serving`),
and keeps what it observed for putting back, so that a front can bring back nothing but what was there.
"""
