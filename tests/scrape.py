"""Reading metrics in tests, by prometheus_client's own parser."""

from __future__ import annotations

import http.client
from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from tests.running import PATIENCE_S

Labels = frozenset[tuple[str, str]]


class Scrape:
    """The metrics of one scrape: `value` of a sample, and `types` by family name."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.types: dict[str, str] = {}
        self._values: dict[tuple[str, Labels], float] = {}
        for family in text_string_to_metric_families(text):
            # The parser calls a counter by its name in OpenMetrics, without `_total`.
            self.types[family.name + "_total" * (family.type == "counter")] = family.type
            for sample in family.samples:
                key = sample.name, frozenset(sample.labels.items())
                assert key not in self._values, f"{key} is there twice"
                self._values[key] = sample.value

    def value(self, name: str, **labels: str) -> float:
        """Return one sample's value."""
        return self._values[name, frozenset(labels.items())]

    def by(self, label: str, name: str, **labels: str) -> dict[str, float]:
        """Return the values that are not 0 by the value of one label, of samples that have the others."""
        found = {}
        for (sample, of_sample), value in self._values.items():
            rest = dict(of_sample)
            if sample == name and value and (named := rest.pop(label, None)) is not None and rest == labels:
                found[named] = value
        return found


def get(port: int, path: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Ask something on a connection of its own. Returns status and body."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        client.request(method, path, headers=headers or {})
        response = client.getresponse()
        return response.status, response.read().decode()
    finally:
        client.close()


def scrape(port: int) -> Scrape:
    """Scrape an admin port."""
    status, text = get(port, "/metrics")
    assert status == 200
    return Scrape(text)
