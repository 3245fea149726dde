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
# What the paper's recipes start from: UniFormer's weights, as OpenMMLab publishes them.
openmmlab = 'https://download.openmmlab.com/mmaction/v1.0/recognition/uniformerv1'
uniformer_weights = dict(
    small_in1k=f'{openmmlab}/uniformer_small_in1k_20221219-fe0a7ae0.pth',
    base_in1k=f'{openmmlab}/uniformer_base_in1k_20221219-82c01015.pth',
    small_k400=f'{openmmlab}/uniformer-small_imagenet1k-pre_16x4x1_kinetics400-rgb_'
    '20221219-c630a037.pth',
    base_k400=f'{openmmlab}/uniformer-base_imagenet1k-pre_16x4x1_kinetics400-rgb_'
    '20221219-157c2e66.pth',
)
