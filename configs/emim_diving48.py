# EMIM-UniFormer-S, 16x4 frames, Diving48; the paper's recipe is unknown, this one is ours.
# Not there yet: RandAugment and repeated augmentation of the paper's recipe.
_base_ = [
    '_base_/models/emim_uniformer_small.py',
    '_base_/datasets/diving48.py',
    '_base_/schedules/adamw.py',
    '_base_/default_runtime.py',
]

num_classes = 48
model = dict(
    backbone=dict(drop_path_rate=0.3),
    cls_head=dict(num_classes=num_classes, label_smooth_eps=0.1),
    data_preprocessor=dict(
        blending=dict(
            type='RandomBatchAugment',
            augments=[
                dict(type='MixupBlending', alpha=0.8, num_classes=num_classes),
                dict(type='CutmixBlending', alpha=1.0, num_classes=num_classes),
            ],
        )
    ),
)
