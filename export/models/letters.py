"""Letters from the speech encoder's frames: a second hearing, which needs no decoder.

Two convolutions over the frames of Moonshine's encoder and a softmax over letters, trained with
connectionist temporal classification (Graves et al. 2006): what it writes down is spelled by ear
and bound to no language, so that it errs otherwise than the decoder, and what a sentence of a
domain costs under it says how well the sentence sounds like what was said.

    python -c "from deixis.export.models.letters import letter_head; print(letter_head())"
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from deixis.export.train import LETTER_WEIGHTS
from deixis.nodes.speech.letters import SYMBOLS

FRAME_SIZE = 288
CHANNELS = 192


class LetterHead(nn.Module):
    """Encoder frames ``(1, T, 288)`` to log probabilities of symbols ``(1, T, 28)``."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(FRAME_SIZE)
        self.first = nn.Conv1d(FRAME_SIZE, CHANNELS, 3, padding=1)
        self.second = nn.Conv1d(CHANNELS, CHANNELS, 5, padding=2)
        self.drop = nn.Dropout(0.15)
        self.out = nn.Conv1d(CHANNELS, len(SYMBOLS), 1)

    def forward(self, frames: Tensor) -> Tensor:
        """Log probabilities of the symbols per frame."""
        x = self.norm(frames).transpose(1, 2)
        x = nn.functional.gelu(self.first(x))
        x = x + nn.functional.gelu(self.second(self.drop(x)))
        logits: Tensor = self.out(self.drop(x))
        return logits.transpose(1, 2).log_softmax(dim=-1)


def letter_head() -> LetterHead:
    """The trained head, ready to be exported."""
    model = LetterHead()
    with np.load(LETTER_WEIGHTS) as arrays:
        state = {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in arrays}
    model.load_state_dict(state)
    return model.eval()
