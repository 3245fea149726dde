# EMIM-UniFormer-S, 16 frames, Something-Something V2.
_base_ = [
    '../_base_/models/emim_uniformer_small_mixup.py',
    '../_base_/datasets/sthv2.py',
    '../_base_/schedules/adamw.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint=_base_.uniformer_weights.small_k400),
    )
)
