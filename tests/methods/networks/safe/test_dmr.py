"""DMR: its schedules on paper."""

from __future__ import annotations

import pytest

from raysim.methods.networks.safe.method import SAFE


@pytest.mark.parametrize(
    ("dmr", "expected"),
    [
        ("cosine", [0.0, 0.1464, 0.5, 0.8536, 1.0]),
        ("linear", [0.0, 0.25, 0.5, 0.75, 1.0]),
        ("constant", [1.0] * 5),
        ("reversed", [1.0, 0.8536, 0.5, 0.1464, 0.0]),
    ],
)
def test_dmr_on_paper(dmr: str, expected: list[float]) -> None:
    method = SAFE(dmr=dmr, beta_max=0.6)  # type: ignore[arg-type]
    assert [method.beta(t) for t in (0, 0.25, 0.5, 0.75, 1)] == pytest.approx(
        [0.6 * value for value in expected], abs=1e-4
    )


def test_warm_up_keeps_beta_at_zero() -> None:
    method = SAFE(warmup=0.2)
    assert method.beta(0.1) == 0.0 and method.beta(0.2) == 0.0 and method.beta(1.0) == 1.0
    assert method.beta(0.6) == pytest.approx(0.5)
