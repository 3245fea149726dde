# EMIM-UniFormer-S, 16 frames, Something-Something V1.
_base_ = [
    '../_base_/models/emim_uniformer_small_mixup.py',
    '../_base_/datasets/sthv1.py',
    '../_base_/schedules/adamw_60e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        drop_path_rate=0.25,
        init_cfg=dict(type='Pretrained', checkpoint=_base_.uniformer_weights.small_k400),
    )
)
