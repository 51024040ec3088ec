from __future__ import annotations

import numpy as np
import pytest

from edgecnn import verify
from edgecnn.errors import InvariantError
from edgecnn.passes import pipeline
from tests.frontends.torch_modules import CASES, IMAGE, TRANSPOSED, conv
from tests.passes.int8_graphs import arbitrary_int8, run_as_given
from tests.torch_helpers import counts, imported

INT8_CASES = {
    name: (module, shapes)
    for name, (module, shapes, *_) in {**CASES, **TRANSPOSED}.items()
    if "batch_norm" not in name and name not in ("add_in_place", "pad_max_pool")
}


@pytest.mark.parametrize("case", INT8_CASES)
def test_keeps_the_bytes_of_int8_graphs(case: str) -> None:
    module, shapes = INT8_CASES[case]
    before = arbitrary_int8(imported(module.eval(), *shapes)[0])
    after = pipeline.run(before)
    assert counts(after)["transpose"] == (TRANSPOSED[case][2] if case in TRANSPOSED else 0)
    for want, got in zip(run_as_given(before), run_as_given(after), strict=True):
        np.testing.assert_array_equal(got, want)


def test_names_the_pass_order() -> None:
    assert [rewrite.__name__ for rewrite in pipeline.PIPELINE] == [
        "turn_shuffles", "cancel_transposes", "sink_reshapes", "merge_transposes",
        "merge_reshapes", "turn_pads", "fuse_pad", "fuse_bias", "fold_batch_norm", "read_parts",
        "merge_reshapes", "fuse_activations", "fold_channel_orders", "fuse_tables",
    ]  # fmt: skip


def test_checks_after_every_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, _ = imported(conv(3, 4), IMAGE)
    monkeypatch.setattr(pipeline, "PIPELINE", (lambda g: g.replace(nodes=()),))
    with pytest.raises(InvariantError):
        pipeline.run(graph)
    verify.check(graph)
