# A frozen image encoder on 8 frames of each clip. study.py names encoder, pixels and lists.
_base_ = ['../../../configs/_base_/datasets/video_reader.py']

custom_imports = dict(
    imports=['mmaction_emim', 'projects.frozen_features.encoders'], allow_failed_imports=False
)

model = dict(
    type='Recognizer2D',
    backbone=dict(type='FrameEncoder', encoder=dict(type='MobileNetV2Stride16')),
    cls_head=dict(type='TSNHead', num_classes=2, in_channels=96),  # not used
    data_preprocessor=dict(
        type='ActionDataPreprocessor', mean=[0.0] * 3, std=[1.0] * 3, format_shape='NCHW'
    ),
)

pipeline = [
    _base_.open_video,
    dict(type='SampleFrames', clip_len=1, num_clips=8, test_mode=True),
    _base_.decode_video,
    dict(type='Resize', scale=(128, 128), keep_ratio=False),
    dict(type='FormatShape', input_format='NCHW'),
    dict(type='PackActionInputs'),
]
__loader = dict(batch_size=8, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False))
__clips = dict(type='CheckedVideoDataset', pipeline=pipeline, test_mode=True)
train_dataloader = dict(**__loader, dataset=dict(**__clips, ann_file='train.txt'))
val_dataloader = dict(**__loader, dataset=dict(**__clips, ann_file='test.txt'))
