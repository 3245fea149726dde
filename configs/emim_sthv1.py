# EMIM-UniFormer-S, 16 frames, Something-Something V1; 8 GPUs x 4 clips.
# Not there yet: RandAugment and repeated augmentation of the paper's recipe.
_base_ = [
    '_base_/models/emim_uniformer_small.py',
    '_base_/datasets/sthv1.py',
    '_base_/schedules/adamw.py',
    '_base_/default_runtime.py',
]

num_classes = 174
model = dict(
    backbone=dict(drop_path_rate=0.25),
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

max_epochs = 60
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.005, end=5, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        begin=5,
        end=max_epochs,
        T_max=max_epochs - 5,
        convert_to_iter_based=True,
    ),
]
