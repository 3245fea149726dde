# EMIM-UniFormer-S, 16x4 frames, Kinetics-600, with Kinetics-400's recipe (ours).
# Not there yet: RandAugment and repeated augmentation of the paper's recipe.
_base_ = [
    '_base_/models/emim_uniformer_small.py',
    '_base_/datasets/kinetics600.py',
    '_base_/schedules/adamw.py',
    '_base_/default_runtime.py',
]

num_classes = 600
model = dict(
    backbone=dict(drop_path_rate=0.0875),
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

max_epochs = 110
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.005, end=10, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        eta_min=1e-6,
        begin=10,
        end=max_epochs,
        T_max=max_epochs - 10,
        convert_to_iter_based=True,
    ),
]
train_dataloader = dict(batch_size=8)
auto_scale_lr = dict(base_batch_size=64)
