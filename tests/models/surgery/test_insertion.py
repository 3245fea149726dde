"""What a layer gets once a module is before it."""

import pytest
import torch

from mmaction_emim.models.motion import EMIMAttention, MotionAwareAttention
from mmaction_emim.models.surgery.insertion import Insertion
from mmaction_emim.models.surgery.layouts import ChannelsFirst, Images, TimeMajor

DIM = 8
INPUTS = {  # as convolutions, or a patch embedding, leave them in memory
    'Images': (Images(2), torch.randn(4, DIM, 3, 5)),
    'ChannelsFirst': (ChannelsFirst(), torch.randn(2, DIM, 3, 4, 5)),
    'channels last': (
        ChannelsFirst(),
        torch.randn(2, DIM, 3, 4, 5).to(memory_format=torch.channels_last_3d),
    ),
    'TimeMajor': (TimeMajor(False, grid=(4, 5)), torch.randn(2, DIM, 3 * 4 * 5).transpose(1, 2)),
}


@pytest.mark.parametrize('cls', [EMIMAttention, MotionAwareAttention])
@pytest.mark.parametrize('kind', INPUTS)
def test_the_order_in_memory_stays(kind, cls):
    """A convolution's sums run in this order, so the same bits need the same order."""
    layout, x = INPUTS[kind]
    insertion = Insertion('layer', cls(DIM), DIM, layout, zero_init=True)
    out = insertion(x)
    assert torch.equal(out, x) and out.stride() == x.stride()
