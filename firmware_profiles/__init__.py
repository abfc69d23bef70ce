"""One TOML a firmware: its dialect, its buffers, its patience, its forbidden commands.

A file of the same name under `FABNODE_HOME/firmware_profiles` takes the place of ours.
"""
