"""What an examination hands over where no stream was written."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.domain.preflight import Finding, verdict


def without_stream(
    findings: Sequence[Finding], report: dict[str, object] | None = None
) -> dict[str, object]:
    """Return the JSON values of `prepare_program`, hashes empty.

    :param report: what is known of the program all the same.
    """
    return {
        "report": report,
        "findings": [finding.to_json() for finding in findings],
        "verdict": verdict(findings).value,
        "stream_sha256": "",
        "index_sha256": "",
        "stream_lines": 0,
        "stream_bytes": 0,
        "planned_s": 0.0,
        "mass_g": None,
    }
