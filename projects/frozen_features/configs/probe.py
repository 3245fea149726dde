# The neck and the head that all arms begin with; arms.py changes them.
custom_imports = dict(
    imports=['mmaction_emim', 'projects.frozen_features.parts'], allow_failed_imports=False
)

dim = 32
model = dict(
    type='Recognizer3D',
    backbone=dict(type='FeatureMapBackbone', in_channels=96),
    neck=dict(),
    cls_head=dict(
        type='AttentiveHead',
        num_classes=12,
        in_channels=dim,
        head_dim=dim,
        mlp_ratio=2.0,
        frame_positions=True,
        average_clips='score',
    ),
    data_preprocessor=dict(type='ActionDataPreprocessor', format_shape='NCTHW'),
)
