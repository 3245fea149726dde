# V-JEPA 2 ViT-L/16, frozen, and an attentive head; 16 frames of 256 x 256 are 8 x 16 x 16 tokens.
model = dict(
    type='Recognizer3D',
    backbone=dict(
        type='VideoEncoder',
        encoder=dict(type='transformers.VJEPA2Model'),
        pretrained='facebook/vjepa2-vitl-fpc64-256',  # or the folder where it lies
        download=False,
        dtype='bfloat16',
    ),
    cls_head=dict(type='AttentiveHead', num_classes=174, in_channels=1024, average_clips='prob'),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        format_shape='NCTHW',
    ),
)
# Necks of the same size, 1024 channels, for 8 frames of features.
emim_neck = dict(type='EMIMNeck', in_channels=1024, window=7, match_init=True)
temporal_neck = dict(
    type='MotionNeck',
    in_channels=1024,
    motion=dict(type='AlignmentGuidedTemporalAttention', assignment='none'),
    num_frames=8,
)
