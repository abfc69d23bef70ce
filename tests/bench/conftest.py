"""The scripts in folders run in processes of their own, some of them in other environments."""

collect_ignore_glob = ["*/*.py"]
