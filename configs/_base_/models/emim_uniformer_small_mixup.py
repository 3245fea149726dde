# The paper's regularization: mixup or cutmix in every batch, label smoothing.
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
