# EMIM-UniFormer-S, 16x4 frames, Kinetics-600, with Kinetics-400's recipe (ours).
_base_ = [
    '../_base_/models/emim_uniformer_small_mixup.py',
    '../_base_/datasets/kinetics600.py',
    '../_base_/schedules/adamw_110e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        drop_path_rate=0.0875,
        init_cfg=dict(type='Pretrained', checkpoint=_base_.uniformer_weights.small_in1k),
    ),
    cls_head=dict(num_classes=_base_.num_classes),
    data_preprocessor=dict(
        blending=dict(
            augments=[
                {**augment, 'num_classes': _base_.num_classes}
                for augment in _base_.model.data_preprocessor.blending.augments
            ]
        )
    ),
)
train_dataloader = dict(batch_size=8)
auto_scale_lr = dict(base_batch_size=64)
