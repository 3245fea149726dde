# The paper's regularization (mixup or cutmix in every batch, label smoothing) and the weights that
# its recipes start from: UniFormer's, as OpenMMLab publishes them.
_base_ = 'emim_uniformer_small.py'

model = dict(
    cls_head=dict(label_smooth_eps=0.1),
    data_preprocessor=dict(
        blending=dict(
            type='RandomBatchAugment',
            augments=[
                dict(type='MixupBlending', alpha=0.8, num_classes=174),
                dict(type='CutmixBlending', alpha=1.0, num_classes=174),
            ],
        )
    ),
)
openmmlab = 'https://download.openmmlab.com/mmaction/v1.0/recognition/uniformerv1'
uniformer_weights = dict(
    small_in1k=f'{openmmlab}/uniformer_small_in1k_20221219-fe0a7ae0.pth',
    base_in1k=f'{openmmlab}/uniformer_base_in1k_20221219-82c01015.pth',
    small_k400=f'{openmmlab}/uniformer-small_imagenet1k-pre_16x4x1_kinetics400-rgb_'
    '20221219-c630a037.pth',
    base_k400=f'{openmmlab}/uniformer-base_imagenet1k-pre_16x4x1_kinetics400-rgb_'
    '20221219-157c2e66.pth',
)
