from __future__ import annotations

import pytest

from pvla.deploy.bundle import Bundle
from pvla.evaluate import bench as module
from pvla.evaluate.bench import Bench, exported_cases, measure
from pvla.evaluate.timing import Timing


class NoEager:
    names: tuple[str, ...] = ("vision",)
    missing = "eager torch: none here"

    def __init__(self, bundle: object) -> None:
        pass

    def __enter__(self) -> NoEager:
        return self

    def __exit__(self, *rest: object) -> None:
        pass

    def case(self, name: str) -> object:
        return lambda: 1.0


def test_every_part_that_the_bundle_has_runs(bundle: Bundle) -> None:
    cases = exported_cases(bundle)
    steps = {f"{kind} step {mode}" for kind in ("latent", "joint") for mode in ("plain", "fast")}
    assert set(cases) == {"vision", "progress", "context", "chunk plain", "chunk fast"} | steps
    assert all(case() > 0 for case in cases.values())


def test_torch_is_timed_beside_and_what_is_left_out_is_said(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EagerProcess", NoEager)
    found = measure(bundle, 2)
    assert [(timing.name, timing.p50_ms) for timing in found.eager] == [("vision", 1000.0)]
    assert len(found.exported) == 9
    assert found.left_out == ["eager torch: none here", "guidance full: the bundle has no graphs for it"]


def test_ratios_are_of_medians() -> None:
    exported = [Timing("latent step plain", 2.0, 2.0, 5), Timing("latent step full", 30.0, 31.0, 5)]
    bench = Bench(exported, [Timing("latent step full", 90.0, 99.0, 5)], [])
    assert bench.to_plain("latent step full") == 15.0
    assert bench.to_exported("latent step full") == 3.0
    assert bench.to_exported("latent step plain") is None
    assert bench.document()["ratio_eager_to_exported"] == {"latent step plain": None, "latent step full": 3.0}
