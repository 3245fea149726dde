# EMIM-UniFormer-S, 16x4 frames, Diving48; the paper's recipe is unknown, this one is ours.
_base_ = [
    '../_base_/models/emim_uniformer_small_mixup.py',
    '../_base_/datasets/diving48.py',
    '../_base_/schedules/adamw.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint=_base_.uniformer_weights.small_k400),
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
