# 12 motions, generated: tools/data/motion_shapes/generate.py. Trains on two CPU cores in minutes.
_base_ = [
    '_base_/models/emim_uniformer_small.py',
    '_base_/datasets/motionshapes.py',
    '_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        arch='tiny',
        depth=[0, 1, 4, 0],
        embed_dim=[16, 32, 64, 64],
        drop_path_rate=0.0,
    ),
    cls_head=dict(num_classes=12, in_channels=64, label_smooth_eps=0.1),
)

max_epochs = 8
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=max_epochs, val_interval=2)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05),
    paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=5.0),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=True, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min=1e-5, begin=1, end=max_epochs, T_max=max_epochs-1, by_epoch=True, convert_to_iter_based=True),
]
