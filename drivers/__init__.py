"""Speak to machines: no database, no HTTP, no people.

The heart is sans-IO: bytes and time go in, bytes, events and a deadline come out
(`engine`, `flow`, `dialects`). Around it one process per machine (`host`) moves the bytes.
Everything here runs on the standard library and pyserial alone, so that a machine host
stays small and survives whatever happens to the rest.
"""
