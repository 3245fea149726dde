# Generated: tools/data/motion_shapes/generate.py.
_base_ = 'default.py'

data_root = 'data/motion_shapes'
num_classes = 12
clip_len = 8

__sample = dict(type='SampleFrames', clip_len=clip_len, frame_interval=3)
__pack = [dict(type='FormatShape', input_format='NCTHW'), dict(type='PackActionInputs')]
train_pipeline = [_base_.open_video, __sample, _base_.decode_video, *__pack]
test_pipeline = [
    _base_.open_video,
    dict(**__sample, test_mode=True),
    dict(type='FrameOrder', order='forward'),
    _base_.decode_video,
    *__pack,
]

__videos = dict(data_root=data_root, num_classes=num_classes)
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(**__videos, ann_file='train.txt', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=1,
    dataset=dict(**__videos, ann_file='test.txt', pipeline=test_pipeline),
)
test_dataloader = val_dataloader
