"""Kills, damaged files, hostile text and full disks. See `python -m tests.campaign --help`."""
