"""Metrics for Prometheus. Labels are routes, statuses and languages, never addresses, keys or texts."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The metrics of one server."""

    def __init__(self, waiting: Callable[[], float]) -> None:
        """Take a function that returns the number of lines that wait."""
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "nmt_requests", "Requests by route and status.", ["route", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "nmt_request_seconds", "Time of a request.", ["route"], buckets=SECONDS, registry=self._registry
        )
        self.characters = Counter(
            "nmt_characters", "Characters translated.", ["source", "target"], registry=self._registry
        )
        self.lines = Counter("nmt_lines", "Lines translated.", ["source", "target"], registry=self._registry)
        Gauge("nmt_waiting_lines", "Lines that wait.", registry=self._registry).set_function(waiting)

    def text(self) -> bytes:
        """Return the metrics in the text format of Prometheus."""
        return generate_latest(self._registry)
