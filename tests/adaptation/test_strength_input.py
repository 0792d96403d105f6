"""One graph with the strength as an input, against the adapter put into the network by hand."""

import copy

import pytest
import torch

from adaptation.test_adapted_network import made, norms, vit
from helpers.images import noise
from softjpeg.adaptation.strength_input import StrengthInput
from softjpeg.nn.export import export_onnx, export_program

KINDS = [(norms, "norm"), (vit, "norm"), (norms, "statistics"), (norms, "all"), (vit, "front")]


@pytest.mark.parametrize(("make", "train"), KINDS)
def test_compiled_and_exported_at_any_strength(make, train):
    network, adapter = made(make, train)
    graph, x = StrengthInput(network, adapter), noise(3, 16) / 255
    compiled = torch.compile(graph, backend="aot_eager", fullgraph=True)
    exported = export_program(graph, (16, 16), inputs={"strength": torch.zeros(1)}).module()
    for strength in (0.0, 0.3, 1.0):
        alone = copy.deepcopy(network)
        adapter.apply(alone, strength)
        with torch.no_grad():
            expected = alone(x)
            for run in (graph, compiled, exported):
                assert torch.allclose(run(x, torch.tensor([strength])), expected, atol=1e-5)
    with torch.no_grad():
        assert torch.equal(graph(x, torch.zeros(1)), network(x))


def test_in_onnxruntime_and_of_any_batch(tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="softjpeg[export] is not installed")
    network, adapter = made(norms, "norm")
    export_onnx(
        StrengthInput(network, adapter),
        tmp_path / "net.onnx",
        (16, 16),
        inputs={"strength": torch.zeros(1)},
    )
    session = runtime.InferenceSession(tmp_path / "net.onnx")
    adapter.apply(network, 0.7)
    for count in (1, 3):
        x = noise(count, 16, seed=count) / 255
        given = {"image": x.numpy(), "strength": torch.tensor([0.7]).numpy()}
        (got,) = session.run(["output"], given)
        with torch.no_grad():
            assert torch.allclose(torch.from_numpy(got), network(x), atol=1e-5)


def test_of_another_network():
    _, adapter = made(norms, "norm")
    other, _ = made(norms, "norm", seed=1)
    with pytest.raises(ValueError, match="belongs to another network"):
        StrengthInput(other, adapter)
