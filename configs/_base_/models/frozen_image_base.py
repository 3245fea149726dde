# An image network of 768 channels on single frames, frozen, and an attentive head.
model = dict(
    type='Recognizer3D',
    backbone=dict(type='FrameEncoder', download=False, dtype='bfloat16'),
    cls_head=dict(
        type='AttentiveHead',
        num_classes=174,
        in_channels=768,
        frame_positions=True,
        average_clips='prob',
    ),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCTHW',
    ),
)
# Necks of the same size, 768 channels, for 16 frames of features.
emim_neck = dict(type='EMIMNeck', in_channels=768, window=7, match_init=True)
temporal_neck = dict(
    type='MotionNeck',
    in_channels=768,
    motion=dict(type='AlignmentGuidedTemporalAttention', assignment='none'),
    num_frames=16,
)
