"""The demo: a residual network trained on scikit-learn's digits, exported for the FRDM-K64F."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from edgecnn.errors import UserError
from firmware_export.export import Evidence, ExportResult, Step, export

BOARD = "frdm-k64f"
NAME = "digits"
CALIBRATION_SAMPLES = 200


def run(directory: Path, step: Step = lambda text: None) -> ExportResult:
    """Train on the CPU for some seconds and run the main job into a folder.

    Accuracy is measured on the digits that training did not see. Raises `UserError` without
    PyTorch.
    """
    if importlib.util.find_spec("torch") is None:
        raise UserError("the demo trains with PyTorch: pip install 'edgecnn[torch]'")
    import torch

    import edgecnn
    from edgecnn.data import to_feeds
    from edgecnn.quantization.recipe import Recipe, quantize_by_recipe
    from edgecnn.zoo import DigitsResidualNet
    from edgecnn.zoo.training import load_digits, train

    digits = load_digits()
    step("training on 8x8 digits")
    module = train(DigitsResidualNet(), digits.train_x, digits.train_y)
    step("quantizing")
    graph = edgecnn.load(module, torch.zeros(1, 1, 8, 8))
    feeds = to_feeds(graph, digits.train_x[:CALIBRATION_SAMPLES])
    made = quantize_by_recipe(graph, feeds, Recipe(), step)
    evidence = Evidence(
        float_graph=graph,
        feeds=feeds,
        x=to_feeds(graph, digits.test_x),
        y=digits.test_y,
        quantized=made,
    )
    return export(
        made.graph,
        directory,
        name=NAME,
        board=BOARD,
        evidence=evidence,
        samples=100,
        command="edgecnn demo",
        step=step,
    )
