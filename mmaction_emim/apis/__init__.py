"""What a user calls from Python on a config: predict, stream, count the cost, export."""

from .clips import clips_of
from .complexity import complexity, cost, without_motion
from .export import export, exportable, load_exported
from .export_metadata import describe_export, exported_metadata
from .feature_extraction import FeatureReport, extract_features
from .inferencer import MotionInferencer
from .join_checkpoints import join_checkpoints
from .map_extraction import extract_maps
from .map_split import MapReport
from .prediction import Prediction
from .recognizer import init_recognizer
from .stream import MotionStream, StreamWindow

__all__ = [
    'FeatureReport',
    'MapReport',
    'MotionInferencer',
    'MotionStream',
    'Prediction',
    'StreamWindow',
    'clips_of',
    'complexity',
    'cost',
    'describe_export',
    'export',
    'exportable',
    'exported_metadata',
    'extract_features',
    'extract_maps',
    'init_recognizer',
    'join_checkpoints',
    'load_exported',
    'without_motion',
]
