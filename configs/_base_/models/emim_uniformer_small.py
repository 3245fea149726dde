model = dict(
    type='Recognizer3D',
    backbone=dict(type='EMIMUniFormer', arch='small', drop_path_rate=0.3),
    cls_head=dict(
        type='I3DHead', num_classes=174, in_channels=512, dropout_ratio=0.0, average_clips='score'
    ),
    data_preprocessor=dict(
        type='ActionDataPreprocessor',
        mean=[114.75, 114.75, 114.75],
        std=[57.375, 57.375, 57.375],
        format_shape='NCTHW',
    ),
)
