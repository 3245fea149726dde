"""What a network with motion modules sees: recorded by hooks, drawn as arrows and colours."""

from .flow_colours import colour_wheel, draw_arrows, flow_colours
from .matrices import attention_figure, cost_volume_figure
from .motion_field import (
    draw_motion_field,
    in_pixels,
    input_frames,
    legend,
    motion_field_clip,
    motion_field_sheet,
    tile,
)
from .motion_field_hook import MotionFieldHook
from .record import (
    motion_layers,
    record_affinities,
    record_attention,
    record_motion_fields,
    record_tracks,
)
from .tracks import draw_tracks
from .write import check_suffix, write_pictures

__all__ = [
    'MotionFieldHook',
    'attention_figure',
    'check_suffix',
    'colour_wheel',
    'cost_volume_figure',
    'draw_arrows',
    'draw_motion_field',
    'draw_tracks',
    'flow_colours',
    'in_pixels',
    'input_frames',
    'legend',
    'motion_field_clip',
    'motion_field_sheet',
    'motion_layers',
    'record_affinities',
    'record_attention',
    'record_motion_fields',
    'record_tracks',
    'tile',
    'write_pictures',
]
