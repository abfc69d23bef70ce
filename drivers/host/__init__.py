"""The machine host: one process for one machine, which outlives the node.

`python -m drivers.host HOST_JSON` holds the port, the program and the journal of its machine
and serves a Unix socket. It is one selector loop without threads, never resumes a run by itself
and, after any gap in its watch over a run, sends nothing but what switches heat and spindle off.

SIGTERM ends an idle host at once. With a run open it is taken as a person's act on that very
machine: the run is cancelled, recorded as interrupted, and the host exits when heat is off.
"""
