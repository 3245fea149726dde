# SigLIP 2 ViT-B/16 on single frames, frozen, and an attentive head.
model = dict(
    type='Recognizer3D',
    backbone=dict(
        type='FrameEncoder',
        encoder=dict(type='transformers.SiglipVisionModel', vision_use_head=False),
        pretrained='google/siglip2-base-patch16-224',  # or the folder where it lies
        download=False,
        dtype='bfloat16',
    ),
    cls_head=dict(
        type='AttentiveHead',
        num_classes=174,
        in_channels=768,
        frame_positions=True,
        average_clips='prob',
    ),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[127.5, 127.5, 127.5],
        std=[127.5, 127.5, 127.5],
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
