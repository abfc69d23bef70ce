"""The scripts of `link` run in processes of their own, some of them in other environments."""

collect_ignore_glob = ["link/*.py"]
